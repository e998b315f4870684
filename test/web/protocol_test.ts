import assert from "node:assert/strict";
import { ConfigError, DatasetFormatError, GpuMemoryError } from "../../src/errors.ts";
import { plainError } from "../../web/protocol/plain_error.ts";

Deno.test("plainError() keeps class, message and each problem through structured cloning", () => {
  const config = new ConfigError([{ path: "lora_r", message: "is odd" }, { path: "", message: "is empty" }]);
  assert.deepEqual(structuredClone(plainError(config)), {
    name: "ConfigError",
    message: "lora_r: is odd\nis empty",
    issues: ["lora_r: is odd", "is empty"],
  });
  const data = new DatasetFormatError([{ file: "a.jsonl", line: 3, message: "is no JSON" }]);
  assert.deepEqual(plainError(data).issues, ["a.jsonl:3: is no JSON"]);
  assert.deepEqual(plainError(new GpuMemoryError("needs\nmore")), {
    name: "GpuMemoryError",
    message: "needs\nmore",
    issues: [],
  });
  assert.deepEqual(plainError("odd"), { name: "Error", message: "odd", issues: [] });
});
