/**
 * Words for the tiny model's world: some real ones, and as many made of syllables as are asked for.
 *
 * @module
 */
import { uniform } from "../../src/random.ts";

/** Short words of harbours and weather. */
export const REAL_WORDS: readonly string[] = (
  "anchor aft barge beacon bell berth boat bow bridge buoy cabin cable calm canal cargo chart cliff cloud coast cork crab crane " +
  "crew current deck delta dock dory drift ebb eel fathom ferry fjord flag fleet foam fog gale galley gull gust hail harbor " +
  "haul haven helm herring hold hook hull inlet island jetty kayak keel kelp knot lagoon lamp land lantern latch ledge lee " +
  "light lock log marina mast mist moon mooring mussel nest net north oar ocean oyster paddle pearl pier pike pilot plank " +
  "pole pool port prow quay raft rain reef ridge rig ripple river rope rudder sail salmon salt sand seal shell ship shoal " +
  "shore signal skiff sloop snow sonar south spray squall star stern storm strait stream surf swell tackle tar tern tide " +
  "tower trawl tug tuna twine vessel wake wave west whale wharf wind winch wreck yacht yard yawl"
).split(" ");

const ONSETS = "b c d f g h j k l m n p r s t v w z bl br ch cl dr fl gl gr pl pr sh sk sl sn sp st th tr"
  .split(" ");
const VOWELS = "a e i o u".split(" ");
const CODAS = ["", "", "", ..."b d g k l m n p r s t x nd nt st".split(" ")];

/** Draws from numbered streams of one seed, so that every draw can be repeated. */
export class Draws {
  #at = 0;

  constructor(readonly seed: number, readonly stream: number) {}

  /** A whole number in 0..n−1. */
  below(n: number): number {
    return Math.floor(uniform(this.seed, this.stream, this.#at++) * n);
  }

  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

/** A word of 3 to 7 letters that can be said aloud. */
export function madeWord(draws: Draws): string {
  for (;;) {
    const syllables = 1 + draws.below(3);
    let word = "";
    for (let i = 0; i < syllables; i++) word += draws.of(ONSETS) + draws.of(VOWELS) + draws.of(CODAS);
    if (word.length >= 3 && word.length <= 7) return word;
  }
}
