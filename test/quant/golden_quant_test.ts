/** Codes, scales and values against those of bitsandbytes and of the gguf package. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { SafetensorsFile } from "../../src/checkpoint/safetensors.ts";
import { dequantizeScales, DYNAMIC_LEVELS, quantizeScales } from "../../src/quant/double_quant.ts";
import { decodeBlocks, encodeBlocks } from "../../src/quant/gguf_blocks.ts";
import { ggufType } from "../../src/quant/gguf_types.ts";
import { dequantizeInt8, quantizeInt8 } from "../../src/quant/int8.ts";
import { dequantizeNf4, NF4_LEVELS, quantizeNf4 } from "../../src/quant/nf4.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { arithmetic, assertClose, exact } from "../helpers/close.ts";

const dir = new URL("../../../shared/golden/quant", import.meta.url).pathname;
const ignore = !existsSync(dir);

async function withFile(name: string, use: (file: SafetensorsFile) => Promise<void>): Promise<void> {
  const file = await SafetensorsFile.open(new LocalFolder(dir), `${name}.safetensors`);
  await use(file).finally(() => file.close());
}

Deno.test({
  name: "quantizeNf4() and quantizeScales() give bitsandbytes' bytes (needs shared data)",
  ignore,
  fn: () =>
    withFile("nf4", async (file) => {
      assertClose(NF4_LEVELS, await file.readF32("nf4.code"), exact());
      for (let k = 0; file.infos.has(`nf4.${k}.x`); k++) {
        const read = (name: string) => file.readF32(`nf4.${k}.${name}`);
        const raw = (name: string) => file.readRaw(`nf4.${k}.${name}`);
        const x = await read("x"), { codes, absmax } = quantizeNf4(x);
        assert.deepEqual(codes, await raw("plain.packed"));
        assertClose(absmax, await read("plain.absmax"), exact());
        assertClose(dequantizeNf4(codes, absmax, x.length), await read("plain.dequant"), exact());
        const nested = quantizeScales(absmax), scales = dequantizeScales(nested);
        assertClose(DYNAMIC_LEVELS, await read("dq.nested_code"), exact());
        assertClose([nested.offset], await read("dq.offset"), exact());
        assertClose(nested.nestedAbsmax, await read("dq.nested_absmax"), exact());
        assert.deepEqual(nested.codes, await raw("dq.absmax_u8"));
        assertClose(scales, await read("dq.absmax_dequant"), exact());
        assert.deepEqual(codes, await raw("dq.packed"));
        assertClose(dequantizeNf4(codes, scales, x.length), await read("dq.dequant"), exact());
      }
    }),
});

Deno.test({
  name: "quantizeInt8() gives bitsandbytes' codes (needs shared data)",
  ignore,
  fn: () =>
    withFile("int8", async (file) => {
      for (let k = 0; file.infos.has(`int8.${k}.x`); k++) {
        const [, cols] = file.infos.get(`int8.${k}.x`)!.shape as [number, number];
        const { codes, absmax } = quantizeInt8(await file.readF32(`int8.${k}.x`), cols);
        assert.deepEqual(codes, new Int8Array((await file.readRaw(`int8.${k}.bnb_q`)).buffer));
        assertClose(absmax, await file.readF32(`int8.${k}.absmax`), exact());
        const want = await file.readF32(`int8.${k}.dequant`);
        assertClose(dequantizeInt8(codes, absmax, cols), want, arithmetic("f32", "f32", 1));
      }
    }),
});

Deno.test({
  name: "decodeBlocks() and encodeBlocks() agree with the gguf package bit for bit (needs shared data)",
  ignore,
  fn: () =>
    withFile("gguf_blocks", async (file) => {
      const cases = [...file.infos.keys()].filter((name) => name.endsWith(".raw"));
      assert.equal(cases.length, 8);
      for (const raw of cases) {
        const type = raw.split(".")[0]!, bytes = await file.readRaw(raw);
        const want = await file.readF32(raw.replace(/raw$/, "dequant"));
        assertClose(decodeBlocks(ggufType(type), bytes), want, exact());
        const x = raw.replace(/raw$/, "x");
        if ((type === "Q4_0" || type === "Q8_0") && file.infos.has(x)) {
          assert.deepEqual(encodeBlocks(type, await file.readF32(x)), bytes);
        }
      }
    }),
});
