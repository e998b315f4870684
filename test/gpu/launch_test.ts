import assert from "node:assert/strict";
import { embeddingForward } from "../../kernels/embedding/kernel.ts";
import { loraBackwardA, loraForward, registerTile } from "../../kernels/matmul/kernel.ts";
import { rmsNormBackward } from "../../kernels/rms_norm/kernel.ts";
import { attentionForward } from "../../kernels/attention/kernel.ts";
import { readsBack } from "../../src/gpu/launch.ts";
import { onEveryAdapter, TestProgram } from "../helpers/gpu.ts";

const zeros = (count: number) => new Float32Array(count);

Deno.test("readsBack() tells kernels that replace an array from those that add to it", () => {
  assert.equal(readsBack("y[i] = x[i];", "y"), false);
  assert.equal(readsBack("y[at[i] + 1u].x = x[i];", "y"), false);
  assert.equal(readsBack("dy[i] = 1.0; // y[i] + 1.0", "y"), false);
  assert.equal(readsBack("y[i] += x[i];", "y"), true);
  assert.equal(readsBack("y[i] = x[i] + y[i];", "y"), true);
  assert.equal(readsBack("if (y[i] == 1.0) { return; }", "y"), true);
  assert.equal(readsBack("atomicOr(&y[0], 1u);", "y"), true);
});

onEveryAdapter("a profile's entries count what each launch moves and computes", async (adapter) => {
  if (!adapter.gpu.features.has("timestamp-query")) return;
  using run = new TestProgram(adapter);
  const held = (label: string, ...shape: number[]) =>
    run.holding(zeros(shape.reduce((a, b) => a * b)), shape, label);
  const scalar = (label: string, ...shape: number[]) => run.operand(held(label, ...shape), "scalar");
  const M = 5, N = 7, K = 12, r = 3;
  const tile = registerTile(4, 2, 8);
  run.recorder.section("forward");
  run.recorder.dispatch(
    loraForward,
    {
      y: held("up y", M, N),
      x: scalar("x", M, K),
      w: scalar("w", N, K),
      u: scalar("u", M, r),
      b: scalar("b", N, r),
    },
    { rows: M, cols: N, first_row: 0, x_cols: K, w_cols: K, u_cols: r, b_cols: r, scale: 1 },
    tile,
  );
  run.recorder.section("backward");
  run.recorder.dispatch(
    loraBackwardA,
    { out: held("dA", r, K), left: scalar("v", M, r), right: scalar("x", M, K) },
    { rows: M, first_row: 0, left_cols: r, right_cols: K },
  );
  run.recorder.dispatch(
    rmsNormBackward,
    {
      dx: held("dx", M, N),
      dy: scalar("dy", M, N),
      x: scalar("x", M, N),
      weight: scalar("w", 1, N),
      addend: scalar("dh", M, N),
      rstd: held("rstd", M),
    },
    {
      rows: M,
      heads: 1,
      dx_cols: N,
      dy_cols: N,
      x_cols: N,
      weight_cols: N,
      addend_cols: N,
      offset: 0,
    },
  );
  run.recorder.dispatch(
    embeddingForward,
    {
      y: held("rows", M, 8),
      ids: run.holding(new Uint32Array(M), [M], "ids"),
      table: scalar("table", 100, 8),
    },
    { rows: M, y_cols: 8, table_cols: 8, first_id: 0, shard_rows: 100, vocab: 100, scale: 1 },
  );
  const program = await run.recorder.build();
  const { entries } = await program.profile(["backward", "forward"]);
  assert.deepEqual(entries.map(({ section, kernel, output }) => [section, kernel, output]), [
    ["backward", "lora_backward_a", "dA"],
    ["backward", "rms_norm_backward", "dx"],
    ["backward", "embedding_forward", "rows"],
    ["forward", "lora_forward", "up y"],
  ]);
  const [factor, norm, embedding, forward] = entries;
  assert.equal(forward!.flops, 2 * M * N * (K + r));
  assert.equal(forward!.bytesRead, 4 * (M * K + N * K + M * r + N * r));
  assert.equal(forward!.bytesWritten, 4 * M * N);
  assert.deepEqual(forward!.constants, tile);
  // not the scale, which is no size
  assert.deepEqual(forward!.sizes, {
    rows: M,
    cols: N,
    first_row: 0,
    x_cols: K,
    w_cols: K,
    u_cols: r,
    b_cols: r,
  });
  assert.deepEqual(forward!.sources, { x: "scalar", w: "scalar", u: "scalar", b: "scalar" });
  assert.equal(factor!.flops, 2 * M * r * K);
  // gradients are added to: read and written
  assert.equal(factor!.bytesRead, 4 * (M * r + M * K + r * K));
  assert.equal(norm!.bytesRead, 4 * (3 * M * N + N + M));
  assert.equal(norm!.flops, 0);
  // of the table only the rows of these ids
  assert.equal(embedding!.bytesRead, 4 * (M * 8 + M));
  for (const { ms } of entries) assert.ok(ms >= 0 && ms < 10_000);
}, ["deno"]);

Deno.test("attention counts two products for each pair of a query and a key that it sees", () => {
  const params = {
    batch: 2,
    row_length: 3,
    heads: 4,
    group: 2,
    q_cols: 32,
    k_cols: 16,
    v_cols: 16,
    scale: 1,
    softcap: 0,
  };
  // 2 rows, 4 heads, 1 + 2 + 3 pairs, 8 wide, two products of a multiplication and an addition
  assert.equal(
    attentionForward.flops!(params, { ...attentionForward.constants, HEAD_DIM4: 2 }),
    2 * 4 * 6 * 8 * 4,
  );
});
