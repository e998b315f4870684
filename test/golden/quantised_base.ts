/**
 * A base model whose linear maps went through NF4 and back: what QLoRA trains on, without the packed kernels.
 *
 * @module
 */
import { writeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { SINGLE_FILE, WeightFiles } from "../../src/checkpoint/weight_files.ts";
import { dequantizeScales, quantizeScales } from "../../src/quant/double_quant.ts";
import { dequantizeNf4, quantizeNf4 } from "../../src/quant/nf4.ts";
import { type Folder, readText, writeFile } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";

/** Linear maps of the layers; bitsandbytes leaves embedding, norms and head alone. */
const LINEAR = /\.layers\.\d+\..*_proj\.weight$/;

/** The model of a folder, its linear maps rounded to NF4. @param doubled Whether the scales are quantised too. */
export async function quantisedBase(from: Folder, doubled: boolean): Promise<MemoryFolder> {
  const weights = await WeightFiles.open(from), out = new MemoryFolder(`${from.uri} in NF4`);
  const tensors = await Promise.all([...weights.infos.values()].map(async ({ name, shape }) => {
    const values = await weights.readF32(name);
    const kept = LINEAR.test(name) ? roundTrip(values, doubled) : values;
    return { name, dtype: "F32", shape, data: new Uint8Array(kept.buffer) };
  }));
  await weights.close();
  await writeSafetensors(out, SINGLE_FILE, tensors);
  await writeFile(out, "config.json", await readText(from, "config.json"));
  return out;
}

function roundTrip(values: Float32Array, doubled: boolean): Float32Array<ArrayBuffer> {
  const { codes, absmax } = quantizeNf4(values);
  return dequantizeNf4(codes, doubled ? dequantizeScales(quantizeScales(absmax)) : absmax, values.length);
}
