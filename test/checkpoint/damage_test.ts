/** Files damaged at random: whatever the bytes, a reader answers with its own errors, at once and in little memory. */
import assert from "node:assert/strict";
import { GgufFile } from "../../src/checkpoint/gguf.ts";
import { SafetensorsFile, writeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { ModelFormatError, UnsupportedModelError } from "../../src/errors.ts";
import { encodeBlocks } from "../../src/quant/gguf_blocks.ts";
import { streamOf, uniform } from "../../src/random.ts";
import type { Folder } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { ramp } from "../helpers/fill.ts";
import { f32, ggufBytes, i32s, text, texts, u32 } from "../helpers/gguf_file.ts";

const MUTATIONS = 10_000;

/** Numbers that lie: limits of signs and widths. */
const EXTREMES = [0, 1, 0x7f, 0x80, 0xff, 0x7fffffff, 0x80000000, 0xffffffff];

/** A damaged copy: some bytes changed, a number made extreme, a run repeated or removed, or the end cut off. */
function damaged(bytes: Uint8Array, index: number): Uint8Array {
  let draw = 0;
  const below = (n: number) => Math.floor(uniform(17, index, draw++) * n);
  const copy = bytes.slice(), at = below(copy.length);
  switch (below(5)) {
    case 0:
      for (let i = 0; i <= below(4); i++) copy[below(copy.length)] = below(256);
      return copy;
    case 1:
      for (const [i, byte] of [...new Uint8Array(Uint32Array.of(EXTREMES[below(8)]!).buffer)].entries()) {
        if (at + i < copy.length) copy[at + i] = byte;
      }
      return copy;
    case 2:
      return copy.slice(0, at);
    case 3:
      return Uint8Array.from([...copy.slice(0, at), ...copy.slice(at + 1 + below(16))]);
    default:
      return Uint8Array.from([...copy.slice(0, at + below(16)), ...copy.slice(at)]);
  }
}

/** A folder that counts the bytes read of its file, and fails on a read that is larger than it. */
function watched(bytes: Uint8Array): { folder: Folder; read: () => number } {
  const folder = new MemoryFolder("m", { w: bytes });
  let total = 0;
  const open = folder.open.bind(folder);
  folder.open = async (name) => {
    const file = await open(name), read = file.read.bind(file);
    return Object.assign(file, {
      read: (offset: number, length: number) => {
        total += length;
        return read(offset, length);
      },
    });
  };
  return { folder, read: () => total };
}

interface Opened {
  readonly infos: ReadonlyMap<string, unknown>;
  readF32(name: string): Promise<Float32Array>;
}

/** Opens and reads every damaged copy; gives how many were refused. */
async function refused(
  bytes: Uint8Array,
  seed: string,
  open: (folder: Folder, name: string) => Promise<Opened>,
): Promise<number> {
  let count = 0;
  for (let i = 0; i < MUTATIONS; i++) {
    const { folder, read } = watched(damaged(bytes, streamOf(`${seed} ${i}`)));
    try {
      const file = await open(folder, "w");
      for (const name of file.infos.keys()) await file.readF32(name);
    } catch (error) {
      count++;
      const known = error instanceof ModelFormatError || error instanceof UnsupportedModelError;
      assert.ok(known, `mutation ${i}: ${(error as Error).stack}`);
    }
    assert.ok(read() <= 4 * bytes.length, `mutation ${i} read ${read()} bytes of a file of ${bytes.length}`);
  }
  return count;
}

Deno.test(`GgufFile survives ${MUTATIONS} damaged files with errors of its own`, async () => {
  const data = (values: number) => new Uint8Array(ramp(values).buffer);
  const bytes = ggufBytes({
    entries: [
      ["general.architecture", text("llama")],
      ["llama.block_count", u32(2)],
      ["llama.rope.freq_base", f32(10_000)],
      ["tokenizer.ggml.tokens", texts(["a", "bc", "▁d"])],
      ["tokenizer.ggml.token_type", i32s([1, 1, 3])],
      ["nested", { type: 9, element: 9, value: [] }],
    ],
    tensors: [
      { name: "token_embd.weight", shape: [3, 32], type: 8, data: encodeBlocks("Q8_0", ramp(96)) },
      { name: "blk.0.attn_norm.weight", shape: [32], type: 0, data: data(32) },
      { name: "output_norm.weight", shape: [2, 2, 2], type: 0, data: data(8) },
    ],
  });
  const count = await refused(bytes, "gguf", GgufFile.open);
  assert.ok(count > MUTATIONS / 3 && count < MUTATIONS, `${count} refused`);
});

Deno.test(`SafetensorsFile survives ${MUTATIONS} damaged files with errors of its own`, async () => {
  const folder = new MemoryFolder();
  const tensor = (name: string, dtype: string, shape: readonly number[], bytes: number) => {
    return { name, dtype, shape, data: new Uint8Array(ramp(bytes / 4).buffer) };
  };
  await writeSafetensors(folder, "w", [
    tensor("model.embed_tokens.weight", "F32", [4, 8], 128),
    tensor("model.norm.weight", "F16", [8], 16),
    tensor("lm_head.weight", "BF16", [2, 2, 2], 16),
  ]);
  const file = await folder.open("w");
  const count = await refused(await file.read(0, file.size), "safetensors", SafetensorsFile.open);
  assert.ok(count > MUTATIONS / 3 && count < MUTATIONS, `${count} refused`);
});
