import assert from "node:assert/strict";
import { readParquet } from "../../src/data/parquet.ts";
import { Sha256 } from "../../src/data/sha256.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";

/** Three rows of messages in two row groups, packed by Snappy; written by pyarrow 26.0.1. */
const SNAPPY = Uint8Array.fromBase64(
  "UEFSMRUEFSoVLkwVBBUAEgAAFVAEAAAAdXNlcgkAAABhc3Npc3RhbnQVABUeFSIsFQgVEBUGFQYcAAAADzgCAAAAAwoCAAAACAQBAwoV" +
    "BBU6FT5MFQYVABIAAB1wAgAAAGhpCwAAAEhlbGxvIPCfmYIhBAAAAGFuZD8VABUgFSQsFQgVEBUGFQYcAAAAEDwCAAAAAwoCAAAACAQC" +
    "A2QAFQQVDhUSTBUCFQASAAAHGAMAAABBbm4VABUiFSYsFQgVEBUGFQYcAAAAEUACAAAAAwoEAAAAAxsHAAECABUEFRAVFEwVAhUAEgAA" +
    "CBwEAAAAdXNlchUAFR4VIiwVAhUQFQYVBhwAAAAPOAIAAAACAAIAAAACBAECABUEFQ4VEkwVAhUAEgAABxgDAAAAYnllFQAVHhUiLBUC" +
    "FRAVBhUGHAAAAA84AgAAAAIAAgAAAAIEAQIAFQQVABUCTBUAFQASAAAAFQAVGhUeLBUCFRAVBhUGHAAAAA0wAgAAAAIAAgAAAAIDABUE" +
    "GXw1ABgGc2NoZW1hFQIANQIYCG1lc3NhZ2VzFQIVBkw8AAAANQQYBGxpc3QVAgA1AhgHZWxlbWVudBUGABUMJQIYBHJvbGUlAEwcAAAA" +
    "FQwlAhgHY29udGVudCUATBwAAAAVDCUCGARuYW1lJQBMHAAAABYGGSwZPCYAHBUMGTUABhAZSAhtZXNzYWdlcwRsaXN0B2VsZW1lbnQE" +
    "cm9sZRUCFggWigEWkgEmUiYIKSwVBBUAFQIAFQAVEBUCADwWNBkmBAQZVgAAAAAIAAAAJgAcFQwZNQAGEBlICG1lc3NhZ2VzBGxpc3QH" +
    "ZWxlbWVudAdjb250ZW50FQIWCBacARakASb0ASaaASksFQQVABUCABUAFRAVAgA8FjgZJgQEGVYAAAAACAAAACYAHBUMGTUABhAZSAht" +
    "ZXNzYWdlcwRsaXN0B2VsZW1lbnQEbmFtZRUCFggWchZ6JuwCJr4CKSwVBBUAFQIAFQAVEBUCADwWBhkmBAQZVgAAAAYCAAAAFpgDFgQm" +
    "CBawAwAZPCYAHBUMGTUABhAZSAhtZXNzYWdlcwRsaXN0B2VsZW1lbnQEcm9sZRUCFgIWcBZ4JugDJrgDKSwVBBUAFQIAFQAVEBUCADwW" +
    "CBkmAgAZVgAAAAACAAAAJgAcFQwZNQAGEBlICG1lc3NhZ2VzBGxpc3QHZWxlbWVudAdjb250ZW50FQIWAhZuFnYm3gQmsAQpLBUEFQAV" +
    "AgAVABUQFQIAPBYGGSYCABlWAAAAAAIAAAAmABwVDBk1AAYQGUgIbWVzc2FnZXMEbGlzdAdlbGVtZW50BG5hbWUVAhYCFlwWYibEBSam" +
    "BSksFQQVABUCABUAFRAVAgA8FgAZJgIAGVYAAAACAAAAABa6AhYCJrgDFtACACggcGFycXVldC1jcHAtYXJyb3cgdmVyc2lvbiAyNi4w" +
    "LjEZPBwAABwAABwAAADOAgAAUEFSMQ==",
);
/** The same, packed by Zstandard. */
const ZSTD = Uint8Array.fromBase64(
  "UEFSMRUEFSoVPEwVBBUAEgAAKLUv/SAVqQAABAAAAHVzZXIJAAAAYXNzaXN0YW50FQAVHhUwLBUIFRAVBhUGHAAAACi1L/0gD3kAAAIA" +
    "AAADCgIAAAAIBAEDChUEFToVTEwVBhUAEgAAKLUv/SAd6QAAAgAAAGhpCwAAAEhlbGxvIPCfmYIhBAAAAGFuZD8VABUgFTIsFQgVEBUG" +
    "FQYcAAAAKLUv/SAQgQAAAgAAAAMKAgAAAAgEAgNkABUEFQ4VIEwVAhUAEgAAKLUv/SAHOQAAAwAAAEFubhUAFSIVNCwVCBUQFQYVBhwA" +
    "AAAotS/9IBGJAAACAAAAAwoEAAAAAxsHAAECABUEFRAVIkwVAhUAEgAAKLUv/SAIQQAABAAAAHVzZXIVABUeFTAsFQIVEBUGFQYcAAAA" +
    "KLUv/SAPeQAAAgAAAAIAAgAAAAIEAQIAFQQVDhUgTBUCFQASAAAotS/9IAc5AAADAAAAYnllFQAVHhUwLBUCFRAVBhUGHAAAACi1L/0g" +
    "D3kAAAIAAAACAAIAAAACBAECABUEFQAVEkwVABUAEgAAKLUv/SAAAQAAFQAVGhUsLBUCFRAVBhUGHAAAACi1L/0gDWkAAAIAAAACAAIA" +
    "AAACAwAVBBl8NQAYBnNjaGVtYRUCADUCGAhtZXNzYWdlcxUCFQZMPAAAADUEGARsaXN0FQIANQIYB2VsZW1lbnQVBgAVDCUCGARyb2xl" +
    "JQBMHAAAABUMJQIYB2NvbnRlbnQlAEwcAAAAFQwlAhgEbmFtZSUATBwAAAAWBhksGTwmABwVDBk1AAYQGUgIbWVzc2FnZXMEbGlzdAdl" +
    "bGVtZW50BHJvbGUVDBYIFooBFq4BJmAmCCksFQQVABUCABUAFRAVAgA8FjQZJgQEGVYAAAAACAAAACYAHBUMGTUABhAZSAhtZXNzYWdl" +
    "cwRsaXN0B2VsZW1lbnQHY29udGVudBUMFggWnAEWwAEmngImtgEpLBUEFQAVAgAVABUQFQIAPBY4GSYEBBlWAAAAAAgAAAAmABwVDBk1" +
    "AAYQGUgIbWVzc2FnZXMEbGlzdAdlbGVtZW50BG5hbWUVDBYIFnIWlgEmsgMm9gIpLBUEFQAVAgAVABUQFQIAPBYGGSYEBBlWAAAABgIA" +
    "AAAWmAMWBCYIFoQEABk8JgAcFQwZNQAGEBlICG1lc3NhZ2VzBGxpc3QHZWxlbWVudARyb2xlFQwWAhZwFpQBJsoEJowEKSwVBBUAFQIA" +
    "FQAVEBUCADwWCBkmAgAZVgAAAAACAAAAJgAcFQwZNQAGEBlICG1lc3NhZ2VzBGxpc3QHZWxlbWVudAdjb250ZW50FQwWAhZuFpIBJtwF" +
    "JqAFKSwVBBUAFQIAFQAVEBUCADwWBhkmAgAZVgAAAAACAAAAJgAcFQwZNQAGEBlICG1lc3NhZ2VzBGxpc3QHZWxlbWVudARuYW1lFQwW" +
    "AhZcFoABJuAGJrIGKSwVBBUAFQIAFQAVEBUCADwWABkmAgAZVgAAAAIAAAAAFroCFgImjAQWpgMAKCBwYXJxdWV0LWNwcC1hcnJvdyB2" +
    "ZXJzaW9uIDI2LjAuMRk8HAAAHAAAHAAAANICAABQQVIx",
);

async function entries(content: Uint8Array, hash = new Sha256()) {
  const file = await new MemoryFolder("data", { "x.parquet": content }).open("x.parquet");
  return await Array.fromAsync(readParquet(file, hash));
}

Deno.test("readParquet() gives the rows of all row groups, lists and structs as arrays and objects", async () => {
  const hash = new Sha256();
  const turn = (role: string, content: string, name: string | null = null) => ({ role, content, name });
  const answer = turn("assistant", "Hello 🙂!");
  assert.deepEqual(
    await entries(SNAPPY, hash),
    [
      [turn("user", "hi"), answer],
      [turn("user", "and?", "Ann"), answer],
      [turn("user", "bye")],
    ].map((messages, i) => ({ kind: "row", line: i + 1, value: { messages } })),
  );
  const digest = await crypto.subtle.digest("SHA-256", SNAPPY);
  assert.equal(hash.digest(), new Uint8Array(digest).toHex());
});

Deno.test("readParquet() tells files that are packed otherwise or damaged", async () => {
  await assert.rejects(entries(ZSTD), {
    name: "DatasetFormatError",
    message: /^data\/x\.parquet: is Parquet packed by ZSTD; Snappy and none are read: in Python, pandas/,
  });
  for (const end of [20, SNAPPY.length - 9]) {
    await assert.rejects(entries(SNAPPY.slice(0, end)), {
      name: "DatasetFormatError",
      message: /^data\/x\.parquet: cannot be read as Parquet \(.+\): copy the file again$/,
    });
  }
});
