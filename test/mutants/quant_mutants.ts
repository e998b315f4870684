/** Faults of quantised formats and of the files that hold them. */
import { inFile, type Mutant } from "./mutant.ts";

export const QUANT_MUTANTS: readonly Mutant[] = [
  ...inFile("src/quant/nf4.ts", ["test/quant/nf4_test.ts"], [
    ["the first code of a pair in the low nibble", "(i & 1 ? 0 : 4)", "(i & 1 ? 4 : 0)"],
    ["a tie of NF4 goes up", "scaled > MIDPOINTS[level]!", "scaled >= MIDPOINTS[level]!"],
  ]),
  ...inFile("src/quant/double_quant.ts", ["test/quant/double_quant_test.ts"], [
    ["scales come back without their mean", "/ blockValues)]!) + offset;", "/ blockValues)]!);"],
  ]),
  ...inFile("src/quant/int8.ts", ["test/quant/int8_test.ts"], [
    ["halves of int8 round up", "floor % 2 !== 0", "floor < Infinity"],
  ]),
  ...inFile("src/quant/round_blocks.ts", ["test/quant/gguf_blocks_test.ts"], [
    [
      "the fifth bits of the second half are those of the first",
      "high >>> (i + HALF) << 4",
      "high >>> i << 4",
    ],
  ]),
  ...inFile("src/quant/k_blocks.ts", ["test/quant/gguf_blocks_test.ts"], [
    [
      "minima of K blocks without their high bits",
      "byte(b + 4) >> 4 | byte(b) >> 6 << 4",
      "byte(b + 4) >> 4",
    ],
    ["Q6_K without its centre", "| highBits << 4) - 32;", "| highBits << 4);"],
  ]),
  ...inFile("src/checkpoint/gguf_header.ts", ["test/checkpoint/gguf_test.ts"], [
    [
      "overlapping GGUF tensors are believed",
      "if (firstByte >= end) continue;",
      "if (firstByte >= 0) continue;",
    ],
    ["a GGUF shape is read inside out", "sizes.reverse(), row = shape.at(-1)!", "sizes, row = shape[0]!"],
  ]),
  ...inFile("src/checkpoint/gguf_cursor.ts", ["test/checkpoint/gguf_test.ts"], [
    [
      "a GGUF count is believed",
      "if (value <= most) return Number(value);",
      "if (value >= 0n) return Number(value);",
    ],
  ]),
  ...inFile("src/checkpoint/gguf_names.ts", ["test/checkpoint/gguf_model_test.ts"], [
    ["rows of a Llama stay turned", "2 * (inHead % half) + Math.floor(inHead / half)", "inHead"],
  ]),
  ...inFile("src/checkpoint/gguf_tokenizer.ts", ["test/checkpoint/gguf_tokenizer_test.ts"], [
    ["pieces join by their place, not their score", "scores[b]! - scores[a]! || a - b", "a - b"],
  ]),
  ...inFile("src/checkpoint/bitsandbytes.ts", ["test/checkpoint/bitsandbytes_test.ts"], [
    ["rows of NF4 begin with a block", "absmax.subarray(firstBlock), end", "absmax, end"],
  ]),
];
