import assert from "node:assert/strict";
import { GpuMemoryError } from "../../src/errors.ts";
import { Arena, type Lifetime } from "../../src/gpu/arena.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import type { MatrixTexture } from "../../src/gpu/kernel.ts";
import { type Tensor, tensor } from "../../src/tensor.ts";

/** The part of a device that planning looks at; anything else would throw. */
const GPU = {
  name: "fake GPU",
  limits: { maxStorageBufferBindingSize: 4096, maxBufferSize: 8192 },
} as unknown as Gpu;

/** Deterministic whole numbers below a bound (a linear congruence). */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) % below;
}

function randomProgram(next: (below: number) => number) {
  const span = () => {
    const first = next(60);
    return { first, last: first + next(12) };
  };
  const tensors: Lifetime<Tensor>[] = Array.from(
    { length: 40 },
    (_, i) => ({ item: tensor(`t${i}`, [1 + next(1000)]), ...span() }),
  );
  const textures: Lifetime<MatrixTexture>[] = Array.from({ length: 20 }, (_, i) => {
    const width = 1 + next(40), height = 4 * (1 + next(20));
    return { item: { label: `m${i}`, width, height, bytes: 16 * width * height, texture: null }, ...span() };
  });
  return { tensors, textures };
}

/** Every two that share a slot live at other times, and each fits its slot. */
function assertApart<T>(
  lifetimes: readonly Lifetime<T>[],
  slotOf: ReadonlyMap<T, { bytes: number; width: number; height: number }>,
  sizeOf: (item: T) => { width: number; height: number },
): void {
  for (const a of lifetimes) {
    const slot = slotOf.get(a.item)!, size = sizeOf(a.item);
    assert.ok(slot.width >= size.width && slot.height >= size.height);
    for (const b of lifetimes) {
      if (a === b || slotOf.get(b.item) !== slot) continue;
      assert.ok(a.last < b.first || b.last < a.first, "two live intermediates share a slot");
    }
  }
}

Deno.test("Arena.plan() lets no two live intermediates share a slot, over 100 random programs on one arena", () => {
  const next = numbers(7), arena = new Arena(GPU);
  for (let i = 0; i < 100; i++) {
    const { tensors, textures } = randomProgram(next);
    const { bufferSlots, textureSlots } = arena.plan(tensors, textures);
    assertApart(tensors, bufferSlots, ({ bytes }) => ({ width: bytes, height: 1 }));
    assertApart(textures, textureSlots, (item) => item);
  }
});

Deno.test("Arena.plan() reuses memory within a program and across programs", () => {
  const arena = new Arena(GPU);
  const chain = () => [0, 1, 2, 3].map((i) => ({ item: tensor(`t${i}`, [1000]), first: i, last: i + 1 }));
  arena.plan(chain(), []);
  assert.deepEqual(arena.bytes, { buffers: 8000, textures: 0 }); // two alive at a time
  arena.plan(chain(), []);
  assert.deepEqual(arena.bytes, { buffers: 8000, textures: 0 });
});

Deno.test("Arena.plan() refuses what no binding can hold, with the numbers and a cure", () => {
  const item = tensor("logits", [1025]);
  assert.throws(() => new Arena(GPU).plan([{ item, first: 0, last: 0 }], []), (error: Error) => {
    assert.ok(error instanceof GpuMemoryError);
    assert.match(error.message, /"logits" as it needs 4100 bytes .*"fake GPU" allows 4096: lower batch_size/);
    return true;
  });
});
