/**
 * The job that the page is about to run: options as a config file has them, checked as the command line checks them.
 *
 * @module
 */
import { computed, signal } from "@preact/signals";
import {
  CONFIG_FIELDS,
  type FineTuneJobConfig,
  parseFineTuneJobConfig,
  type QuantizationWord,
} from "../../src/config.ts";
import { ConfigError, type ConfigIssue } from "../../src/errors.ts";
import type { Wire } from "../protocol/job.ts";

/** A checked job, or all that is wrong with it. */
export type Checked =
  | { readonly config: FineTuneJobConfig; readonly issues: readonly [] }
  | { readonly config: null; readonly issues: readonly ConfigIssue[] };

const DEFAULTS: ReadonlyMap<string, unknown> = new Map(
  CONFIG_FIELDS.map((field) => [field.wireName, field.default]),
);

export class JobForm {
  /** Options that were given; all others stand at their defaults. */
  readonly values = signal<Wire>({});
  readonly checked = computed<Checked>(() => {
    try {
      return { config: parseFineTuneJobConfig(this.values.value), issues: [] };
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return { config: null, issues: error.issues };
    }
  });

  constructor(values: Wire) {
    this.values.value = values;
  }

  /** An option's value, its default where none was given. */
  value(wireName: string): unknown {
    const { [wireName]: given = DEFAULTS.get(wireName) } = this.values.value;
    return given;
  }

  /** Whether an option stands at something else than its default. */
  isChanged(wireName: string): boolean {
    return JSON.stringify(this.value(wireName)) !== JSON.stringify(DEFAULTS.get(wireName));
  }

  /** Sets options; undefined sets one back to its default. */
  set(changes: Wire): void {
    const merged = { ...this.values.value, ...changes };
    this.values.value = Object.fromEntries(
      Object.entries(merged).filter(([, value]) => value !== undefined),
    );
  }

  /** What is wrong with an option; null for nothing. */
  issueOf(wireName: string): string | null {
    return this.checked.value.issues.find(({ path }) => path === wireName)?.message ?? null;
  }

  /** How the base's linear maps are kept. */
  get quantization(): QuantizationWord {
    const { quantization, load_in_4bit, load_in_8bit } = this.values.value;
    if (quantization === "4bit" || quantization === "8bit") return quantization;
    return load_in_4bit === true ? "4bit" : load_in_8bit === true ? "8bit" : "none";
  }

  set quantization(word: QuantizationWord) {
    const given = word === "none" ? undefined : word;
    this.set({ load_in_4bit: undefined, load_in_8bit: undefined, quantization: given });
  }
}
