/**
 * Faults in WGSL and in the generators that write it.
 *
 * @module
 */
import { inFile, type Mutant } from "./mutant.ts";

const NORM: readonly Mutant[] = [
  ...inFile("kernels/rms_norm/forward.wgsl", ["test/kernels/rms_norm_test.ts"], [
    ["norm without eps", "+ params.eps)", "+ 0.0 * params.eps)"],
    ["every head is normed as the first", "let first = (i % params.heads) *", "let first = 0u *"],
    [
      "weights around zero are taken as they are",
      "(params.offset + load_weight(0u, c))",
      "load_weight(0u, c)",
    ],
  ]),
  ...inFile("kernels/rms_norm/backward.wgsl", ["test/kernels/rms_norm_test.ts"], [
    ["norm's gradient replaces the residual stream's", "dx += load_addend", "dx = load_addend"],
    ["norm's gradient pulls by a sum, not a mean", "products) / f32(params.weight_cols);", "products);"],
  ]),
  ...inFile("kernels/rms_norm/backward_weight.wgsl", ["test/kernels/rms_norm_test.ts"], [
    ["norm's weight forgets earlier micro-batches", "+ j] += sum[j];", "+ j] = sum[j];"],
  ]),
];

const REDUCTIONS: readonly Mutant[] = [
  ...inFile("kernels/dora/norms.wgsl", ["test/kernels/dora_test.ts"], [
    ["a row of zeros is divided by", "if (norm > 0.0) {", "if (norm >= 0.0) {"],
  ]),
  ...inFile("kernels/dora/backward_magnitude.wgsl", ["test/kernels/dora_test.ts"], [
    [
      "magnitude forgets earlier micro-batches",
      "dmagnitude[col] += sum / norm;",
      "dmagnitude[col] = sum / norm;",
    ],
  ]),
  ...inFile("kernels/dropout/apply.wgsl", ["test/kernels/dropout_test.ts"], [
    ["dropout draws by the row, not the token", "numbers[HEADER + 2u * row + 1u] + position;", "position;"],
    ["padding is kept", "position < numbers[HEADER + 2u * row];", "true;"],
  ]),
  ...inFile("kernels/lib/row_sum.wgsl", ["test/kernels/rms_norm_test.ts", "test/kernels/grad_norm_test.ts"], [
    [
      "row sum without the barrier of its tree",
      "row_sum_lanes[lane + half]; }\n    workgroupBarrier();",
      "row_sum_lanes[lane + half]; }",
    ],
  ]),
  ...inFile("kernels/lib/row_max.wgsl", ["test/kernels/cross_entropy_test.ts"], [
    ["row maximum stops one halving early", "half > 0u", "half > 1u"],
  ]),
  ...inFile("kernels/lib/non_finite.wgsl", ["test/kernels/grad_norm_test.ts"], [
    ["infinity counts as finite", "== 0x7f800000u;", "> 0x7f800000u;"],
  ]),
];

const ELEMENTWISE: readonly Mutant[] = [
  ...inFile("kernels/rope/rotate.wgsl", ["test/kernels/rope_test.ts"], [
    ["rotation that never turns back", "params.direction * vec4f(sines", "vec4f(sines"],
    ["rotation by rows, not by positions", "positions[row] * params.pairs", "row * params.pairs"],
    ["rotation of neighbours, not of halves", "element + pairs, low)", "element + 4u, low)"],
    [
      "rotation of the part of a head that stays",
      "element < 2u * pairs;",
      "element < vec4u(params.head_dim);",
    ],
  ]),
  ...inFile("kernels/gated/activation.wgsl", ["test/kernels/gated_test.ts"], [
    ["gate's derivative with the wrong sigmoid", "x * (1.0 - s))", "x * s)"],
    ["gelu's slope without that of its argument", "* ROOT * (1.0 + 3.0 * CUBE * b * b)", ""],
  ]),
  ...inFile("kernels/stage/to_texture.wgsl", ["test/kernels/stage_test.ts"], [
    ["narrow matrices are staged along their rows", "select(along, along.yx, DOWN == 1u)", "along"],
  ]),
  ...inFile("kernels/rows/gather.wgsl", ["test/kernels/rows_test.ts"], [
    ["filler rows gather the first row", "{ y[i] = 0.0; }", "{ y[i] = x[i % params.cols]; }"],
  ]),
  ...inFile("kernels/stage/to_texture_transposed.wgsl", ["test/kernels/stage_test.ts"], [
    [
      "staged transpose pads with its neighbours",
      "row < params.rows && col < params.cols",
      "row < params.rows",
    ],
  ]),
  ...inFile("kernels/embedding/forward.wgsl", ["test/kernels/embedding_test.ts"], [
    [
      "shard of the embedding one row too long",
      "id - params.first_id < params.shard_rows",
      "id - params.first_id <= params.shard_rows",
    ],
    ["unknown ids keep what lay there", "id >= params.vocab && params.first_id == 0u", "false"],
  ]),
  ...inFile("kernels/embedding/backward.wgsl", ["test/kernels/embedding_test.ts"], [
    ["embedding forgets earlier micro-batches", "+ c] += params.scale * sum;", "+ c] = params.scale * sum;"],
  ]),
];

const LOSS: readonly Mutant[] = [
  ...inFile("kernels/cross_entropy/stats.wgsl", ["test/kernels/cross_entropy_test.ts"], [
    ["sums of earlier shards keep their old scale", "old_s * exp(old_m - m)", "old_s"],
    ["a logit that is NaN goes unseen", "if (bad) { atomicOr(&flags[0], 1u); }", ""],
    [
      "columns beyond a shard count",
      "capped(load_logits(row, c)), inside);",
      "capped(load_logits(row, c)), vec4<bool>(true));",
    ],
  ]),
  ...inFile("kernels/cross_entropy/grad.wgsl", ["test/kernels/cross_entropy_test.ts"], [
    ["filler rows get a gradient", "select(scalars[0], 0.0, id == NO_TARGET)", "scalars[0]"],
    ["capped logits keep their slope", " * capped_slope(z));", ");"],
  ]),
  ...inFile("kernels/cross_entropy/loss.wgsl", ["test/kernels/cross_entropy_test.ts"], [
    ["loss of the last chunk alone", "totals[0] += sum;", "totals[0] = sum;"],
  ]),
];

const ATTENTION: readonly Mutant[] = [
  ...inFile("kernels/attention/lane_rows.ts", ["test/kernels/attention_test.ts"], [
    ["a token does not see itself", "s + ${j}u <= t${r};", "s + ${j}u < t${r};"],
    ["a token sees what lies before its span", "= s + ${j}u >= first${r} && s", "= s"],
    [
      "a key is asked by queries beyond its span",
      "`s${r} <= t + ${j}u && t + ${j}u < end${r}`",
      "`s${r} <= t + ${j}u`",
    ],
    ["online softmax keeps values at their old scale", "`o${r}_${d} * keep${r}`", "`o${r}_${d}`"],
    ["gradient of queries without the scale", "`params.scale * dq${r}_${d}`", "`dq${r}_${d}`"],
    ["gradient of keys without the scale", "`params.scale * dk${r}_${d}`", "`dk${r}_${d}`"],
    [
      "keys hear one query head of their group",
      "h < (head + 1u) * params.group;",
      "h < head * params.group + 1u;",
    ],
    [
      "first key of a block misses its own query",
      "(var t = block; t < end; t +=",
      "(var t = block + 1u; t < end; t +=",
    ],
    ["delta is not subtracted from keys", "`lse_delta${j}.y`", "`0.0`"],
  ]),
  ...inFile("kernels/attention/staged.ts", ["test/kernels/attention_test.ts"], [
    [
      "a row hears one of the lanes that share it",
      "range(SPLIT).map((i) => `parts_${name}",
      "range(1).map((i) => `parts_${name}",
    ],
    [
      "every other block of queries is passed over",
      "start < end; start += ${KEYS}u) {`",
      "start < end; start += ${2 * KEYS}u) {`",
    ],
    [
      "output keeps values of earlier blocks at their old scale",
      "`    o_${d} *= keep;`",
      "`    o_${d} *= 1.0;`",
    ],
  ]),
  ...inFile("kernels/attention/text.ts", ["test/kernels/attention_test.ts"], [
    [
      "capped scores without the slope of the cap",
      "(1.0 - (${x} / params.softcap) * (${x} / params.softcap))",
      "1.0",
    ],
    ["log-sum-exp of the neighbour", "t % 2u == 1u", "t % 2u == 0u"],
  ]),
  ...inFile("src/nn/attention_spans.ts", ["test/nn/attention_spans_test.ts"], [
    ["window misses its oldest key", "t - window + 1)", "t - window + 2)"],
    ["a packed document sees the one before", "start = stops[document++]!", "document++"],
  ]),
  ...inFile("kernels/attention_decode/decode.wgsl", ["test/kernels/attention_decode_test.ts"], [
    [
      "cached attention misses the newest key",
      "min(position + 1u, params.window)",
      "min(position, params.window)",
    ],
    ["cached attention ignores the window", "min(position + 1u, params.window)", "position + 1u"],
    ["cached attention keeps values at their old scale", "owned[i] * keep;", "owned[i];"],
  ]),
];

const PRODUCTS: readonly Mutant[] = [
  ...inFile("kernels/matmul/generate.ts", ["test/kernels/matmul_test.ts"], [
    [
      "product drops what is left of four columns",
      "(params.${left}_cols + 3u) / 4u",
      "params.${left}_cols / 4u",
    ],
    ["product adds its first column's addend to all", " + addend[at + ${j * tile.LANES}u]", " + addend[at]"],
    ["product without its scale", "`params.scale * s${i}_${j}$", "`s${i}_${j}$"],
    ["input gradients replace each other", 'accumulate ? "+=" : "="', 'accumulate ? "=" : "="'],
    ["factors forget earlier micro-batches", "out[${at}] += s${i}", "out[${at}] = s${i}"],
    ["bias is that of the first column", "bias[${position(right, j)}]", "bias[col]"],
  ]),
  ...inFile("kernels/matmul/shared_tile.ts", ["test/kernels/matmul_test.ts"], [
    ["a block of operands is read before it is there", '"workgroupBarrier();",\n', ""],
    ["blocks read on beyond the end of the sum", "first + d / ${side.vectors}u < ${end}", "true"],
  ]),
  ...inFile("kernels/matmul/vector_tile.ts", ["test/kernels/matmul_test.ts"], [
    ["half of the parts of a sum get lost", "apart = ${K_LANES / 2}u", "apart = ${K_LANES / 4}u"],
  ]),
];

const OPTIMIZER: readonly Mutant[] = [
  ...inFile("kernels/grad_norm/finish.wgsl", ["test/kernels/grad_norm_test.ts"], [
    [
      "clipping scales small gradients up",
      "min(1.0, params.max_norm / (norm + 1e-6))",
      "params.max_norm / (norm + 1e-6)",
    ],
    ["a norm that overflows goes unseen", "if (non_finite(norm)) { atomicOr(&flags[0], 1u); }", ""],
  ]),
  ...inFile("kernels/adamw/step.wgsl", ["test/kernels/adamw_test.ts"], [
    ["second moment without its correction", "sqrt(v_new) / root_correction", "sqrt(v_new)"],
    ["weights do not decay", "(1.0 - rate * decay) * p[i]", "p[i]"],
    ["every value has the first parameter's rate", "rates[i / RATE_VECTORS]", "rates[0]"],
    ["a bad step is taken all the same", "if (flags[0] != 0u) { return; }", ""],
  ]),
];

export const KERNEL_MUTANTS: readonly Mutant[] = [
  ...NORM,
  ...REDUCTIONS,
  ...ELEMENTWISE,
  ...LOSS,
  ...ATTENTION,
  ...PRODUCTS,
  ...OPTIMIZER,
];
