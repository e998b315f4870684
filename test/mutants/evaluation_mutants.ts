/**
 * Faults in measuring a model, and in data that are too large for the memory or lie on the Hub.
 *
 * @module
 */
import { inFile, type Mutant } from "./mutant.ts";

const MEASURE: readonly Mutant[] = [
  ...inFile("src/trainer/measure.ts", ["test/evaluation_test.ts"], [
    ["losses of earlier measurements stay in the sum", "  model.clearTotals();\n", ""],
    ["the last batch is passed by", "first < sorted.length;", "first + batchRows < sorted.length;"],
  ]),
  ...inFile("src/evaluation.ts", ["test/evaluation_test.ts"], [
    ["the base is measured with the adapter on it", "{ ...opened, adapter: null }", "opened"],
    [
      "rows beyond the limit are measured",
      "if (limit === null || limit >= rows.length)",
      "if (rows.length > 0)",
    ],
    ["answers lose all but their last piece", "answers[row] += text;", "answers[row] = text;"],
  ]),
];

const SPILLED: readonly Mutant[] = [
  ...inFile("src/data/id_store.ts", ["test/data/id_store_test.ts"], [
    ["ids beyond 65535 lose their high bits", "vocabSize <= 2 ** 16", "vocabSize <= 2 ** 20"],
    ["blocks of the file lie half as far apart", "(first - firstSpilled) * size", "(first - firstSpilled)"],
    [
      "ids that are still in memory are looked for in the file",
      "at >= firstSpilled + this.#spilled",
      "at < 0",
    ],
  ]),
  ...inFile("src/data/duplicates.ts", ["test/data/duplicates_test.ts"], [
    ["of three that are the same, one is a repeat", "if (sorted[i] === sorted[i - 1]) count++;", ""],
    ["examples on the other side are not looked among", "this.#hashes.get(i))) count++", "-1)) count++"],
  ]),
];

const SUMS = inFile("src/data/growing_array.ts", ["test/data/growing_array_test.ts"], [
  ["numbers begin anew at 2^32", "high * 2 ** 32 + this.#low", "this.#low"],
]);

const HUB: readonly Mutant[] = [
  ...inFile("src/storage/continued_download.ts", ["test/model_source_test.ts"], [
    [
      "a file that came in part is kept",
      "checkReceived(`${store.uri}/${file.name}`, file, size, digest);",
      "",
    ],
  ]),
  ...inFile("src/storage/hub_snapshots.ts", ["test/storage/hub_datasets_test.ts"], [
    ["names may leave the cache's folder", 'part !== "" && part !== "." && part !== ".."', "part.length > 0"],
  ]),
  ...inFile("src/storage/failures.ts", ["test/storage/hub_datasets_test.ts"], [
    ["a busy Hub is taken at its word", "status === 429 ||", "status === 0 ||"],
  ]),
  ...inFile("src/storage/snapshot_cache.ts", ["test/storage/hub_datasets_test.ts"], [
    ["a cached file is fetched again", "names.filter((name) => !whole.has(name))", "[...names]"],
  ]),
  ...inFile("src/storage/hub_address.ts", ["test/storage/hub_address_test.ts"], [
    ["a split's word may stand inside another", "(^|[/_.-])${word}", "${word}"],
  ]),
];

export const EVALUATION_MUTANTS: readonly Mutant[] = [...MEASURE, ...SPILLED, ...SUMS, ...HUB];
