import assert from "node:assert/strict";
import { TextLineStream } from "../src/text_lines.ts";

Deno.test("TextLineStream puts lines together that come in pieces", async () => {
  const lines = ReadableStream.from(["a", "b\nc\n", "\nlast"]).pipeThrough(new TextLineStream());
  assert.deepEqual(await Array.fromAsync(lines), ["ab", "c", "", "last"]);
});
