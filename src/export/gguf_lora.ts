/**
 * An adapter as a GGUF file that llama.cpp and Ollama put on the same base model.
 *
 *     W' = W + alpha/rank·B·A
 *
 * is what they compute, with the rank of B and one alpha for the file. So alpha is written as the rank and the adapter's
 * scaling goes into B: an adapter scaled otherwise, or of several ranks, keeps its strength.
 *
 * @module
 */
import { ggufName } from "../checkpoint/gguf_names.ts";
import {
  f32,
  type GgufEntry,
  type GgufTensorToWrite,
  text,
  u32,
  writeGguf,
} from "../checkpoint/gguf_writer.ts";
import { ReplacedWeights } from "../checkpoint/replaced_weights.ts";
import { UnsupportedModelError } from "../errors.ts";
import { encodeFloats } from "../quant/float16.ts";
import type { Folder } from "../storage.ts";
import { ggufArchitecture } from "./gguf_architectures.ts";
import { turnRows } from "./gguf_rows.ts";
import type { ExportSource } from "./source.ts";

/** An element type of an adapter's file. */
export type GgufLoraType = "F32" | "F16";

/** ggml's number for a file of each {@link GgufLoraType}. */
export const LORA_TYPES: Readonly<Record<GgufLoraType, number>> = { F32: 0, F16: 1 };

/** What {@link exportGgufLora} writes, and how. */
export interface GgufLoraOptions {
  /** The adapter and the model that it was trained on. */
  readonly source: Pick<ExportSource, "name" | "base" | "updates">;
  /** Element type of A and B. */
  readonly type: GgufLoraType;
}

/**
 * Writes the file.
 *
 * @throws {UnsupportedModelError} If there is no adapter, it has magnitudes, or it changes a tensor that llama.cpp takes no
 * update of.
 * @throws {RangeError} If a value is not finite in the type.
 * @throws {StorageDeniedError}
 */
export async function exportGgufLora(
  folder: Folder,
  file: string,
  { source: { name, base, updates }, type }: GgufLoraOptions,
): Promise<void> {
  const { config, uri } = base, architecture = ggufArchitecture(config.modelType);
  const [first] = updates.values();
  if (!first) {
    throw new UnsupportedModelError(
      `Cannot export an adapter of "${uri}": it has none; name the folder of a run or an adapter, or --adapter`,
    );
  }
  if (base.weights instanceof ReplacedWeights) {
    throw new UnsupportedModelError(
      `Cannot export the adapter of "${uri}" as GGUF: it holds modules whole (modules_to_save, bias), and llama.cpp's adapters ` +
        "are updates alone; export the merged model",
    );
  }
  const alpha = first.rank;
  const tensors = [...updates].flatMap(([target, update]): GgufTensorToWrite[] => {
    const { loraA, loraB, rank, scaling } = update;
    if (update.magnitude) {
      throw new UnsupportedModelError(
        `Cannot export the adapter of "${uri}" as GGUF: it has magnitudes (DoRA), which llama.cpp does not know; ` +
          "export the merged model",
      );
    }
    const found = ggufName(architecture, target);
    if (!found) {
      throw new UnsupportedModelError(
        `Cannot export the adapter of "${uri}" as GGUF: it changes "${target}", which llama.cpp puts no adapter on; ` +
          "export the merged model",
      );
    }
    const strength = scaling * rank / alpha;
    const scaled = loraB.map((value) => value * strength);
    const turned = found.turned === null ? scaled : turnRows(scaled, rank, config.headDim);
    const tensor = (part: "a" | "b", shape: readonly number[], values: Float32Array): GgufTensorToWrite => {
      return {
        name: `${found.name}.lora_${part}`,
        type,
        shape,
        data: () => encoded(type, values, `${target} ${part}`),
      };
    };
    return [
      tensor("a", [rank, loraA.length / rank], loraA),
      tensor("b", [loraB.length / rank, rank], turned),
    ];
  });
  const metadata = new Map<string, GgufEntry>([
    ["general.architecture", text(architecture)],
    ["general.type", text("adapter")],
    ["general.name", text(name)],
    ["general.file_type", u32(LORA_TYPES[type])],
    ["adapter.type", text("lora")],
    ["adapter.lora.alpha", f32(alpha)],
  ]);
  await writeGguf(folder, file, { metadata, tensors });
}

async function* encoded(type: "F32" | "F16", values: Float32Array, what: string): AsyncGenerator<Uint8Array> {
  const most = type === "F16" ? 65_504 : Number.MAX_VALUE;
  const bad = values.findIndex((value) => !(Math.abs(value) <= most));
  if (bad >= 0) {
    throw new RangeError(
      `Cannot export the adapter as ${type}: "${what}" holds ${
        values[bad]
      } at ${bad}; take --type f32, or train again`,
    );
  }
  yield encodeFloats(type, values);
}
