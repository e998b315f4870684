import assert from "node:assert/strict";
import { droppedOn, whatIs } from "../../web/page/dropped.ts";

const file = (name: string, path = "") =>
  Object.defineProperty(new File(["x"], name), "webkitRelativePath", { value: path });

Deno.test("a folder with a model's files is a model, a GGUF file is one by itself, all else is data", () => {
  const model = whatIs([file(".DS_Store", "tiny/.DS_Store"), file("config.json", "tiny/config.json")]);
  assert.ok(model?.kind === "model");
  assert.deepEqual([model.picked.name, model.picked.files.length], ["tiny", 2]);
  assert.equal(whatIs([file("Q4.GGUF")])?.kind, "model");
  const data = whatIs([file("rows.jsonl")]);
  assert.ok(data?.kind === "data" && data.given.name === "rows.jsonl");
  // a file of a name that models have, alone, and a folder of data
  assert.equal(whatIs([file("config.json")])?.kind, "data");
  const folder = whatIs([file(".hidden", "data/.hidden"), file("a.csv", "data/a.csv")]);
  assert.ok(folder?.kind === "data" && folder.given.name === "a.csv");
  assert.equal(whatIs([]), null);
});

Deno.test("droppedOn() reads folders below folders, in as many parts as the browser gives", async () => {
  const entryOf = (name: string) => ({
    name,
    isFile: true,
    file: (resolve: (file: File) => void) => resolve(new File(["x"], name)),
  });
  const folderOf = (name: string, below: readonly unknown[]) => ({
    name,
    isFile: false,
    createReader: () => {
      const parts = [...below.map((entry) => [entry]), []];
      return { readEntries: (resolve: (entries: unknown[]) => void) => resolve(parts.shift()!) };
    },
  });
  const tree = folderOf("tiny", [
    entryOf("model.safetensors"),
    folderOf("more", [entryOf("a.txt")]),
    entryOf("config.json"),
  ]);
  const items = [{ webkitGetAsEntry: () => tree }] as unknown as DataTransferItemList;
  const found = await droppedOn({ items });
  assert.ok(found?.kind === "model");
  assert.deepEqual(found.picked.files.map(({ path }) => path), [
    "model.safetensors",
    "more/a.txt",
    "config.json",
  ]);
});
