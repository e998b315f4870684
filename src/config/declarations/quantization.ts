/**
 * Options of how the base is stored.
 *
 * @module
 */

import * as z from "zod/mini";
import { fieldMeta } from "../field_types.ts";

/** How frozen base weights are stored on the GPU; embeddings, head and norms keep their precision. */
export const quantizationSchema = z.strictObject({
  load_in_4bit: z._default(z.boolean(), false).register(fieldMeta, {
    section: "Quantization",
    help: "Keep the linear maps of the base model in 4 bits (NF4)",
  }),
  load_in_8bit: z._default(z.boolean(), false).register(fieldMeta, {
    section: "Quantization",
    help: "Keep the linear maps of the base model in 8 bits, a scale a row",
  }),
  quant_type: z._default(z.enum(["nf4"]), "nf4").register(fieldMeta, {
    section: "Quantization",
    help: "4-bit code",
    aliases: ["bnb_4bit_quant_type"],
  }),
  double_quant: z._default(z.boolean(), true).register(fieldMeta, {
    section: "Quantization",
    help: "Quantise the scales of 4-bit weights too: 4.13 bits a weight in place of 4.5",
    aliases: ["bnb_4bit_use_double_quant"],
  }),
  compute_dtype: z._default(z.enum(["f32"]), "f32").register(fieldMeta, {
    section: "Quantization",
    help: "Element type of the arithmetic",
    aliases: ["bnb_4bit_compute_dtype"],
  }),
});
