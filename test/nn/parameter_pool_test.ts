import assert from "node:assert/strict";
import { GpuMemoryError } from "../../src/errors.ts";
import { ParameterPool } from "../../src/nn/parameter_pool.ts";
import { assertClose, exact } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, type TestAdapter, withLimits } from "../helpers/gpu.ts";

const smallPool = ({ gpu }: TestAdapter) =>
  new ParameterPool(withLimits(gpu, { maxStorageBufferBindingSize: 1024, maxBufferSize: 4096 }));

onEachCompiler(
  "ParameterPool spreads parameters over chunks that a binding holds and gives each its values back",
  async (adapter) => {
    const pool = smallPool(adapter);
    const shapes = [[3, 5], [16, 16], [7], [100], [1, 1]];
    const parameters = shapes.map((shape, i) => pool.add(`p${i}`, shape));
    assert.equal(pool.size, 15 + 256 + 7 + 100 + 1);
    assert.equal(pool.bytes, 256 + 1024 + 256 + 512 + 256);
    pool.allocate();
    assert.deepEqual(pool.chunks.map(({ bytes }) => bytes), [256, 1024, 1024]);
    assert.ok(
      parameters.every(({ value, grad }) => value.offset % 256 === 0 && value.offset === grad.offset),
    );
    assert.ok(
      [...(await pool.read("values")).values()].every((values) => values.every((value) => value === 0)),
    );
    const written = parameters.map(({ value }, i) => ramp(value.bytes / 4, { phase: i }));
    parameters.forEach((parameter, i) => pool.write(parameter, written[i]!));
    const got = await pool.read();
    written.forEach((values, i) => assertClose(got.get(`p${i}`)!, values, exact()));
    assert.ok(
      [...(await pool.read("grads")).values()].every((values) => values.every((value) => value === 0)),
    );
    pool.destroy();
  },
);

onEachCompiler(
  "ParameterPool refuses a parameter beyond a binding and values of another count",
  (adapter) => {
    const pool = smallPool(adapter);
    assert.throws(() => pool.add("large", [257]), (error: Error) => {
      assert.ok(error instanceof GpuMemoryError);
      assert.match(error.message, /Cannot train "large" as it needs 1280 bytes and .* binds 1024/);
      return true;
    });
    const parameter = pool.add("p", [2, 3]);
    assert.throws(() => pool.write(parameter, ramp(5)), /Cannot set "p" \[2,3\] from 5 values: 6 are wanted/);
  },
);
