import assert from "node:assert/strict";
import { runCommand } from "../../src/cli/run.ts";
import { modelRows, modelTable } from "../../src/cli/models.ts";
import { MODEL_FAMILIES } from "../../src/models/registry.ts";
import { fakeIo } from "./fake_io.ts";

async function models(...args: string[]) {
  const fake = fakeIo({ events: () => [] });
  const code = await runCommand(["models", ...args], fake.io);
  return { code, out: fake.stdout.text, err: fake.stderr.text };
}

Deno.test("models lists every family with what it is known as and was tried with", async () => {
  const { code, out } = await models();
  assert.equal(code, 0);
  assert.deepEqual(modelRows().map(({ type }) => type), [...MODEL_FAMILIES.keys()]);
  for (const { type, knownAs, tried } of modelRows()) {
    assert.ok(knownAs !== "" && tried !== "");
    assert.ok(out.split("\n").some((line) => line.includes(`\`${type}\``) && line.includes(knownAs)), type);
  }
  assert.match(out, /safetensors\): F32, F16, BF16\n {9}GGUF file: F32, F16, BF16, .*Q4_K/);
});

Deno.test("models --json gives the same as data", async () => {
  const { out } = await models("--json");
  const { models: rows, files } = JSON.parse(out);
  assert.deepEqual(rows, modelRows());
  assert.ok(files["GGUF file"].includes("Q8_0"));
});

Deno.test("models refuses flags that it does not know", async () => {
  const { code, err } = await models("--jsn");
  assert.equal(code, 2);
  assert.match(err, /--jsn/);
});

Deno.test("README's table of models is what models prints", async () => {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  assert.ok(readme.includes(modelTable()), `README.md should hold:\n${modelTable()}`);
});
