/**
 * Measurements kept from one run to the next, as one JSON file in a folder: the user's cache directory on a machine,
 * the origin's storage in a page.
 *
 * @module
 */
import { type Folder, readText, writeFile } from "../storage.ts";
import type { Measurement } from "./choose.ts";
import type { ProductSize, TunedOp } from "./work.ts";

export const TUNING_FILE = "tuning.json";
const FORMAT = 1;
/** Older entries go when there are more: an adapter has a few for each shape of model. */
const MOST_ENTRIES = 500;

/** One tile's measurement on one adapter. */
export interface TuningEntry extends Measurement {
  readonly adapter: string;
  readonly op: TunedOp;
  readonly sizes: readonly ProductSize[];
  readonly operands: "texture" | "storage";
  readonly tile: Readonly<Record<string, number>>;
  readonly measuredAt: string;
}

/** Measurements by key; see {@link tuningKey}. */
export class TuningCache {
  readonly #folder: Folder | null;
  readonly #entries: Map<string, TuningEntry>;
  #isChanged = false;

  private constructor(folder: Folder | null, entries: Map<string, TuningEntry>) {
    this.#folder = folder;
    this.#entries = entries;
  }

  /** Reads the folder's file. One that is missing, damaged or of another version is an empty cache. */
  static async open(folder: Folder | null): Promise<TuningCache> {
    return new TuningCache(folder, folder ? await readEntries(folder) : new Map());
  }

  get entries(): readonly TuningEntry[] {
    return [...this.#entries.values()];
  }

  get(key: string): TuningEntry | undefined {
    return this.#entries.get(key);
  }

  set(key: string, entry: TuningEntry): void {
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    this.#isChanged = true;
    const oldest = this.#entries.keys().next().value;
    if (this.#entries.size > MOST_ENTRIES && oldest !== undefined) this.#entries.delete(oldest);
  }

  /** Writes what was added. A folder that cannot be written to costs the next run its seconds, and nothing else. */
  async save(): Promise<void> {
    if (!this.#folder || !this.#isChanged) return;
    const file = { format: FORMAT, entries: Object.fromEntries(this.#entries) };
    await writeFile(this.#folder, TUNING_FILE, `${JSON.stringify(file, null, 1)}\n`).catch(() => {});
    this.#isChanged = false;
  }
}

async function readEntries(folder: Folder): Promise<Map<string, TuningEntry>> {
  try {
    const { format, entries } = JSON.parse(await readText(folder, TUNING_FILE));
    if (format !== FORMAT) return new Map();
    return new Map(
      Object.entries(entries as Record<string, TuningEntry>).filter(([, entry]) => isEntry(entry)),
    );
  } catch {
    return new Map();
  }
}

function isEntry({ seconds, compileSeconds, tile }: Partial<TuningEntry>): boolean {
  return [seconds, compileSeconds].every((value) => typeof value === "number" && value >= 0) &&
    typeof tile === "object" && tile !== null;
}

/** What a measurement depends on, as one string: anything that differs makes it another one. */
export async function tuningKey(parts: Readonly<Record<string, unknown>>): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(parts));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest.subarray(0, 12)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
