import assert from "node:assert/strict";
import { parseDatasetAddress, splitFiles } from "../../src/storage/hub_address.ts";

const ADDRESS = parseDatasetAddress("hf://datasets/fen/tide")!;

Deno.test("parseDatasetAddress() reads owner, name, revision and path, and nothing else", () => {
  assert.deepEqual(ADDRESS, { uri: "hf://datasets/fen/tide", repo: "fen/tide", revision: "main", path: "" });
  assert.deepEqual(parseDatasetAddress("hf://datasets/fen/tide-2.0@refs%2Fpr%2F1/data/a b.jsonl/"), {
    uri: "hf://datasets/fen/tide-2.0@refs%2Fpr%2F1",
    repo: "fen/tide-2.0",
    revision: "refs/pr/1",
    path: "data/a b.jsonl",
  });
  for (const other of ["hf://fen/tide", "hf://datasets/fen", "data.jsonl", "https://datasets/fen/tide"]) {
    assert.equal(parseDatasetAddress(other), null, other);
  }
});

Deno.test("splitFiles() takes the files of a split, by whole words of their names", () => {
  const sharded = ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"];
  const files = ["README.md", ...sharded, "data/test-00000-of-00001.parquet", "dataset_info.json"];
  assert.deepEqual(splitFiles(ADDRESS, files, "train"), sharded);
  assert.deepEqual(splitFiles(ADDRESS, files, "eval"), ["data/test-00000-of-00001.parquet"]);
  assert.deepEqual(splitFiles(ADDRESS, ["valid.csv", "test.csv", "train.csv"], "eval"), ["valid.csv"]);
  assert.deepEqual(splitFiles(ADDRESS, ["strained.jsonl", "train.jsonl"], "train"), ["train.jsonl"]);
  assert.deepEqual(splitFiles(ADDRESS, ["x.md", "only.jsonl"], "train"), ["only.jsonl"]);
});

Deno.test("splitFiles() tells the files where it cannot choose", () => {
  const reasons: [string[], "train" | "eval", RegExp][] = [
    [
      ["main/train.parquet", "socratic/train.parquet"],
      "train",
      /has several sets of "train" files \(main\/train/,
    ],
    [["train.csv", "train.jsonl"], "train", /has several sets of "train" files/],
    [
      ["a.jsonl", "b.jsonl"],
      "train",
      /has no file named after "train" \(a\.jsonl, b\.jsonl\): name one, or a pattern/,
    ],
    [["train.jsonl"], "eval", /has no file named after "validation"/],
    [
      ["README.md", "train.zip"],
      "train",
      /has no JSON Lines, JSON, CSV or Parquet file \(found README\.md, train\.zip\)/,
    ],
  ];
  for (const [paths, purpose, message] of reasons) {
    assert.throws(() => splitFiles(ADDRESS, paths, purpose), { name: "StorageNotFoundError", message });
  }
});
