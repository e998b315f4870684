/**
 * Whether the parts that bitsandbytes writes for one weight are there and agree.
 *
 * @module
 */
import { ModelFormatError, UnsupportedModelError } from "../errors.ts";
import { type Nf4State, parseNf4State } from "./bitsandbytes_state.ts";
import type { ModelWeights } from "./weight_files.ts";

/** What the name of the tensor with a 4-bit weight's description adds to the weight's. */
export const NF4_STATE = ".quant_state.bitsandbytes__nf4";
/** 16 levels, offset and sizes take 200 bytes. */
const MAX_STATE_BYTES = 65_536;

/**
 * The description of a 4-bit weight, its parts checked against it.
 *
 * @param stateName The tensor that holds the description.
 */
export async function checkedNf4(inner: ModelWeights, weight: string, stateName: string): Promise<Nf4State> {
  if (!stateName.endsWith(NF4_STATE)) {
    throw new UnsupportedModelError(
      `Cannot use tensor "${weight}": it is in ${
        stateName.replace(/.*__/, "").toUpperCase()
      }, and NF4 is supported; ` +
        "quantise with bnb_4bit_quant_type nf4",
    );
  }
  const { byteLength } = inner.infos.get(stateName)!;
  if (byteLength > MAX_STATE_BYTES) {
    throw damaged(weight, `its quant_state has ${byteLength} bytes, at most ${MAX_STATE_BYTES} are possible`);
  }
  const state = parseNf4State(await inner.readRaw(stateName), (problem) => damaged(weight, problem));
  const values = state.shape[0] * state.shape[1], blocks = Math.ceil(values / state.blockValues);
  const codes = inner.infos.get(weight)?.byteLength;
  if (codes !== Math.ceil(values / 2)) {
    throw damaged(
      weight,
      `it is ${codes ?? 0} bytes, [${state.shape.join(", ")}] takes ${Math.ceil(values / 2)}`,
    );
  }
  const check = (part: string, dtype: string, count: number) =>
    checkPart(inner, weight, `${weight}.${part}`, dtype, count);
  check("absmax", state.nested ? "U8" : "F32", blocks);
  check("quant_map", "F32", 16);
  if (state.nested) {
    check("nested_absmax", "F32", Math.ceil(blocks / state.nested.blockValues));
    check("nested_quant_map", "F32", 256);
  }
  return state;
}

/** Checks an 8-bit weight against its scales. @param scales The tensor that holds them. */
export async function checkedInt8(inner: ModelWeights, weight: string, scales: string): Promise<void> {
  const info = inner.infos.get(weight);
  if (info?.dtype !== "I8" || info.shape.length !== 2) {
    const found = info ? `${info.dtype} [${info.shape.join(", ")}]` : "missing";
    throw damaged(weight, `it is ${found}, beside "${scales}" an I8 matrix is wanted`);
  }
  checkPart(inner, weight, scales, "F32", info.shape[0]!);
  const format = inner.infos.get(formatOf(scales));
  const order = format?.byteLength === 1 ? (await inner.readRaw(format.name))[0] : 0;
  if (order === 0) return;
  throw new UnsupportedModelError(
    `Cannot use tensor "${weight}": its weight_format is ${order}, and 0 (rows) is supported; save the model again with a ` +
      "current bitsandbytes",
  );
}

/** The tensor that says how an 8-bit weight is laid out. */
export const formatOf = (scales: string) => scales.replace(/SCB$/, "weight_format");

function checkPart(inner: ModelWeights, weight: string, name: string, dtype: string, count: number): void {
  const info = inner.infos.get(name), found = info?.shape.reduce((a, b) => a * b, 1);
  if (info?.dtype === dtype && found === count) return;
  throw damaged(
    weight,
    `"${name}" is ${
      info ? `${info.dtype} with ${found} values` : "missing"
    }, ${dtype} with ${count} is wanted`,
  );
}

function damaged(weight: string, problem: string): ModelFormatError {
  return new ModelFormatError(
    `Cannot read tensor "${weight}" as bitsandbytes wrote it: ${problem}; fetch the model again`,
  );
}
