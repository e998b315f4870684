/**
 * A part of the benchmark: one measurement, what it says and its numbers.
 *
 * @module
 */
import type { QuantizationWord } from "../src/config.ts";
import type { Gpu } from "../src/gpu/device.ts";
import type { Variants } from "../src/nn/variants.ts";

/** What every part is told. */
export interface BenchOptions {
  /** Measured rounds of each contender. */
  readonly rounds: number;
  /** Tiny settings: shows that a part works, its numbers mean little. */
  readonly quick: boolean;
  /** Folder of SmolLM2-135M in Hugging Face's layout, f32; null leaves out what needs it. */
  readonly smollm2: string | null;
  /** A GGUF file of the same model, whose weights stay packed; null leaves it out. */
  readonly gguf: string | null;
  /** What the base is kept in, for the part that compares them. */
  readonly quantizations: readonly QuantizationWord[];
  /** A Python environment with PyTorch and PEFT; null leaves PEFT out. */
  readonly peft: string | null;
  /** Whether parts may measure tiles on their own products; false where a variant was asked for. */
  readonly tunes: boolean;
}

/** Where parts compute. Children of a part open devices of their own. */
export interface BenchDevice {
  readonly gpu: Gpu;
  readonly variants: Variants;
}

/** What a part found. */
export interface PartResult {
  /** Markdown below the part's title: tables, and a line on what they mean. */
  readonly markdown: string;
  /** The numbers, for `--json`. */
  readonly data: unknown;
  /** SVG drawings by file name ending, such as `length.svg`. */
  readonly drawings?: Readonly<Record<string, string>>;
}

/** A measurement that can be asked for by name. */
export interface Part {
  readonly name: string;
  readonly title: string;
  measure(device: BenchDevice, options: BenchOptions): Promise<PartResult>;
}
