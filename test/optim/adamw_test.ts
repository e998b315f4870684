import assert from "node:assert/strict";
import * as reference from "../../kernels/adamw/reference.ts";
import { gradNorm } from "../../kernels/grad_norm/reference.ts";
import { type Parameter, ParameterPool } from "../../src/nn/parameter_pool.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import { arithmetic, assertClose, exact } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, type TestAdapter, TestProgram, withLimits } from "../helpers/gpu.ts";
import { wide } from "../helpers/gradient.ts";

const CONFIG = { weightDecay: 0.1, beta1: 0.9, beta2: 0.99, epsilon: 1e-8 };
const SIZES = [15, 256, 7, 100];

/** Neighbours differ, within a chunk and across. */
const rateOf = ({ name }: Parameter) => 1 + 3 * Number(name.slice(1));

/** A pool of three chunks and its optimizer. */
async function setUp(adapter: TestAdapter, run: TestProgram, maxGradNorm: number) {
  const pool = new ParameterPool(withLimits(adapter.gpu, { maxStorageBufferBindingSize: 1024 }));
  const parameters = SIZES.map((size, i) => pool.add(`p${i}`, [size]));
  pool.allocate();
  assert.equal(pool.chunks.length, 3);
  const start = SIZES.map((size, i) => ramp(size, { phase: i }));
  parameters.forEach((parameter, i) => pool.write(parameter, start[i]!));
  const sinks = { totals: run.holding(new Float32Array(4)), flags: run.holding(new Uint32Array(1)) };
  const optimizer = await AdamW.create(run.resources, pool, sinks, { ...CONFIG, maxGradNorm, rateOf });
  const setGradients = (grads: readonly Float32Array<ArrayBuffer>[]) =>
    parameters.forEach(({ grad }, i) =>
      adapter.gpu.device.queue.writeBuffer(grad.buffer!, grad.offset, grads[i]!)
    );
  return { pool, start, sinks, optimizer, setGradients };
}

for (const maxGradNorm of [0, 0.5]) {
  const clipped = maxGradNorm === 0 ? "unclipped" : `clipped to ${maxGradNorm}`;
  onEachCompiler(
    `AdamW over three chunks matches the f64 reference for 5 steps, ${clipped}`,
    async (adapter) => {
      using run = new TestProgram(adapter);
      const { pool, start, sinks, optimizer, setGradients } = await setUp(adapter, run, maxGradNorm);
      const want = SIZES.map((size, i) => ({
        p: wide(start[i]!),
        m: new Float64Array(size),
        v: new Float64Array(size),
      }));
      for (let step = 1; step <= 5; step++) {
        const grads = SIZES.map((size, i) => ramp(size, { phase: step + 2 * i, scale: step }));
        setGradients(grads);
        optimizer.step(step, 0.01 * step);
        const all = wide(grads.flatMap((values) => [...values]));
        const { norm, coefficient: clip } = gradNorm(all, maxGradNorm);
        assertClose(
          (await run.read(sinks.totals)).subarray(1, 2),
          [norm],
          arithmetic("f32", "f32", all.length),
        );
        const got = await pool.read();
        want.forEach(({ p, m, v }, i) => {
          reference.adamwUpdate(p, m, v, wide(grads[i]!), {
            ...CONFIG,
            learningRate: 0.01 * step,
            step,
            clip,
            rates: p.map(() => 1 + 3 * i),
          });
          assertClose(got.get(`p${i}`)!, p, arithmetic("f32", "f32", 8 * step));
        });
      }
      pool.destroy();
    },
  );
}

onEachCompiler(
  "AdamW changes no chunk where one gradient of another chunk is not finite",
  async (adapter) => {
    for (const bad of [NaN, Infinity, -Infinity]) {
      using run = new TestProgram(adapter);
      const { pool, start, sinks, optimizer, setGradients } = await setUp(adapter, run, 1);
      const grads = SIZES.map((size) => ramp(size));
      grads[3]![99] = bad;
      setGradients(grads);
      optimizer.step(1, 0.1);
      assert.equal((await run.readU32(sinks.flags))[0], 1, `${bad}`);
      const got = await pool.read();
      start.forEach((values, i) => assertClose(got.get(`p${i}`)!, values, exact()));
      for (const { m, v, bytes } of pool.chunks) {
        for (const { buffer } of [m!, v!]) {
          const moments = new Float32Array(await adapter.gpu.read(buffer!, 0, bytes));
          assert.ok(moments.every((value) => value === 0));
        }
      }
      pool.destroy();
    }
  },
);
