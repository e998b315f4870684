import assert from "node:assert/strict";
import { MUTANTS, occurrences } from "./mutants.ts";

const ROOT = new URL("../../", import.meta.url);

Deno.test("every seeded fault still has its place: its text stands exactly once in its file", async () => {
  const misplaced: string[] = [];
  for (const { name, file, find } of MUTANTS) {
    const count = occurrences(await Deno.readTextFile(new URL(file, ROOT)), find);
    if (count !== 1) misplaced.push(`"${name}": ${count} times in ${file}`);
  }
  assert.deepEqual(misplaced, []);
});

Deno.test("every seeded fault changes something, has a name of its own, and tests that exist", async () => {
  assert.ok(MUTANTS.length >= 30, `${MUTANTS.length} faults`);
  assert.equal(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length);
  for (const { name, find, replace, tests } of MUTANTS) {
    assert.notEqual(find, replace, name);
    assert.ok(tests.length > 0, name);
    for (const test of tests) assert.ok((await Deno.stat(new URL(test, ROOT))).isFile, test);
  }
});

Deno.test("occurrences() counts a text of several lines", () => {
  assert.equal(occurrences("a {\n}\nb {\n}\n", "{\n}"), 2);
  assert.equal(occurrences("abc", "x"), 0);
});
