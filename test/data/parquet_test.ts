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

/** Forty rows in two row groups: prompt packed by Zstandard, completion by gzip, note by Brotli, tag by LZ4. */
const MIXED = Uint8Array.fromBase64(
  "UEFSMRUAFZoWFcoCLBUyFQAVBhUGHAAAACi1L/1gjQTdBAAiRRIZgMc5yHQkBeJ5UFxqAsRmbZ/9pQdtE9K2yaqq6vu+7/u+f59ZlOQH" +
    "UQPQDhZKY11BkI/AclNLpvKlQzZHLoNqbF0AEQ+hiFgEJCBgoxQfmFLn9WR1Sj+vPU4WJ/Bgnhxjhylxhw4mkxNymBfHwMEUueOGyeIE" +
    "G8yTY2qY1sGgwRTchRidwvPoZHwKz6OT8RTi8259DPMxyhUAFaAUFfICLBUyFQAVBhUGHAAAAB+LCAAAAAAAAgNjYmBgMGKUBZKOecXl" +
    "qUUKBlYKOZnpGSUKmcUKxcmJJSWpRakpCmoIBYZYFeTmF6UqJOalKOgjVBrhVwlnWCC0GBOpBc5wROg1IVUvnIHkfVNC3jcj2vvmpHvf" +
    "ggLvW5LtfTmkyMUe/epIKgjEvwGSUmITgCWSHpJTgBOSZhOqhIEpwTAwIz4MzMkIAwtKwoAq6cCIYDowIj4dGJGRDowoSQdG5KcDAI6q" +
    "HGEQBQAAFQAV1gwV0gEsFTIVABUGFQYcAAAAGyoDAARC3eowlpBMyPX6ThrsEgwUsct5B1PJIwv0MHyzBw/ZJOnNJCG5LxFh3N7vTf/P" +
    "O7/zzzWTsVKlFlKj1ekNRpPZYrXZ3av9PHS6b11MvFXAwGxwO8KBdKJcaDf2vCYwwAADDDg4FQAVvAkVwAEsFTIVABUGFQYcAAAA+AMC" +
    "AAAAMgEUAAAAdGFnMCB0YWcEAAMYABgxFAAADAADGAAQMgwACAQAAxgAGDMUAAAMAAMYABA0DAAIBAADGAAYNRQAAAwAAxgAEDYMAAgE" +
    "AAMYAA+oAP+SUGcgdGFnFQAVug0V6gEsFR4VABUGFQYcAAAAKLUv/WBdAl0DABQEAgAAAB4BNQAAAFF1ZXN0aW9uIDI1OiB3aHkgaXMg" +
    "dGhlIHNreSBibHVlLCBhbmRlYT82Nzg5MzAxMjM0NTY3ODkQAAEkBecVnKzglILzCk5WcErBeQUnKzgbwSkF5xWcrOAUXMnjfMwyFQAV" +
    "pAwVngIsFR4VABUGFQYcAAAAH4sIAAAAAAACA2NiYGCQY5QDko55xeWpRQpGplYKOZnpGSUKmcUKxcmJJSWpRakpCupIKsywqsjNL0pV" +
    "SMxLUTBAUmqOXymcYYmkx4JIPXCGE5JmS1I1wxlIYWBsQCgMjA2JDgNjI9LDwNiYgjAwNqFKGBBMB8bEpwNjMtKBMSXpwJj8dAAAq4zQ" +
    "EBIDAAAVABXqBxWeASwVHhUAFQYVBhwAAAAb9AEA5LkhWrqOEOW8WKxsFokm534WWtaWWaAPjMFEbi0I7AK/EwD2WM1704e++PojG5pH" +
    "cDvCgXSiWFVOkwGZwGaIBWqF2eB2hAPpRG0BFQAV3AUVvgEsFR4VABUGFQYcAAAA+AMCAAAAHgEUAAAAdGFnNCB0YWcEAAMYABg1FAAA" +
    "DAADGAAQNgwACAQAAxgAGDAUAAAMAAMYABAxDAAIBAADGAAYMhQAAAwAAxgAEDMMAAgEAAMYAA+oAKFQZyB0YWcVBBlcNQAYBnNjaGVt" +
    "YRUIABUMJQIYBnByb21wdCUATBwAAAAVDCUCGApjb21wbGV0aW9uJQBMHAAAABUMJQIYBG5vdGUlAEwcAAAAFQwlAhgDdGFnJQBMHAAA" +
    "ABZQGSwZTCYAHBUMGSUGABkYBnByb21wdBUMFjIWxBYW9AImCEkcFQAVABUCADwWxhQZBhkmADIAAAAmABwVDBklBgAZGApjb21wbGV0" +
    "aW9uFQQWMhbKFBacAyb8AkkcFQAVABUCADwWzBIZBhkmADIAAAAmABwVDBklBgAZGARub3RlFQgWMhaADRb8ASaYBkkcFQAVABUCADwW" +
    "ggsZBhkmADIAAAAmABwVDBklBgAZGAN0YWcVDhYyFuYJFuoBJpQISRwVABUAFQIAPBboBxkGGSYAMgAAABb0QRYyJggW9gkAGUwmABwV" +
    "DBklBgAZGAZwcm9tcHQVDBYeFuQNFpQCJv4JSRwVABUAFQIAPBa2DBkGGSYAHgAAACYAHBUMGSUGABkYCmNvbXBsZXRpb24VBBYeFs4M" +
    "FsgCJpIMSRwVABUAFQIAPBagCxkGGSYAHgAAACYAHBUMGSUGABkYBG5vdGUVCBYeFpQIFsgBJtoOSRwVABUAFQIAPBbmBhkGGSYAHgAA" +
    "ACYAHBUMGSUGABkYA3RhZxUOFh4WhgYW6AEmohBJHBUAFQAVAgA8FtgEGQYZJgAeAAAAFswoFh4m/gkWjAgAKCBwYXJxdWV0LWNwcC1h" +
    "cnJvdyB2ZXJzaW9uIDI2LjAuMRlMHAAAHAAAHAAAHAAAAFECAABQQVIx",
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

Deno.test("readParquet() unpacks Zstandard, gzip, Brotli and LZ4 too", async () => {
  assert.deepEqual(await entries(ZSTD), await entries(SNAPPY));
  const rows = Array.from({ length: 40 }, (_, i) => ({
    prompt: `Question ${i}: why is the sky blue, and why is the sea?`,
    completion: `Answer ${i}: light is scattered ${"more and ".repeat(i % 5)}`,
    note: `note of row ${i} note of row ${i}`,
    tag: `tag${i % 7} tag tag tag tag`,
  }));
  assert.deepEqual(await entries(MIXED), rows.map((value, i) => ({ kind: "row", line: i + 1, value })));
});

Deno.test("readParquet() tells files that are packed otherwise or damaged", async () => {
  // the codec of each column, 6 for Zstandard, becomes 3, LZO; integers lie zigzagged behind a type byte
  const lzo = ZSTD.slice();
  for (let i = 0; i + 2 < lzo.length; i++) {
    if (lzo[i] === 0x15 && lzo[i + 1] === 0x0c && lzo[i + 2] === 0x16) lzo[i + 1] = 0x06;
  }
  await assert.rejects(entries(lzo), {
    name: "DatasetFormatError",
    message:
      /^data\/x\.parquet: is Parquet packed by LZO; Snappy, gzip, Brotli, Zstandard, LZ4 and none are read/,
  });
  for (const end of [20, SNAPPY.length - 9]) {
    await assert.rejects(entries(SNAPPY.slice(0, end)), {
      name: "DatasetFormatError",
      message: /^data\/x\.parquet: cannot be read as Parquet \(.+\): copy the file again$/,
    });
  }
  const damaged = MIXED.slice();
  damaged.fill(0xa5, 40, 90);
  await assert.rejects(entries(damaged), { name: "DatasetFormatError" });
});
