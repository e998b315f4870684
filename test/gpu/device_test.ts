import assert from "node:assert/strict";
import { GpuLostError, GpuUnavailableError } from "../../src/errors.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { onEveryAdapter, openAdapter, TestProgram } from "../helpers/gpu.ts";

Deno.test("openGpu() says so where there is no adapter, and how to get one", async () => {
  const entry = { requestAdapter: () => Promise.resolve(null) } as unknown as GPU;
  await assert.rejects(openGpu({ entry }), (error: Error) => {
    assert.ok(error instanceof GpuUnavailableError);
    assert.match(error.message, /found no adapter: install .* mesa-vulkan-drivers/);
    return true;
  });
});

Deno.test("openGpu() says so where the runtime has no WebGPU", async () => {
  const descriptor = Object.getOwnPropertyDescriptor(globalThis, "navigator")!;
  Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });
  try {
    await assert.rejects(openGpu(), (error: Error) => {
      assert.ok(error instanceof GpuUnavailableError);
      assert.match(error.message, /no WebGPU \(navigator\.gpu is missing\): use Deno/);
      return true;
    });
  } finally {
    Object.defineProperty(globalThis, "navigator", descriptor);
  }
});

onEveryAdapter("openGpu({ requireHardware }) refuses a software adapter by name", async ({ gpu }) => {
  if (!gpu.software) return (await openGpu({ requireHardware: true })).close();
  await assert.rejects(openGpu({ requireHardware: true }), (error: Error) => {
    assert.ok(error instanceof GpuUnavailableError);
    assert.ok(error.message.includes(`software adapter "${gpu.name}"`), error.message);
    return true;
  });
}, ["deno"]);

onEveryAdapter("openGpu({ limits: default }) asks for WebGPU's default limits", ({ gpu }) => {
  assert.equal(gpu.limits.maxStorageBufferBindingSize, 128 << 20);
  assert.equal(gpu.limits.maxBufferSize, 256 << 20);
  assert.equal(gpu.limits.maxTextureDimension2D, 8192);
}, ["deno-default"]);

onEveryAdapter("openGpu() asks for features that the adapter has, or for none", async ({ gpu, name }) => {
  const adapter = await navigator.gpu.requestAdapter();
  for (const feature of ["timestamp-query", "shader-f16", "subgroups"] as const) {
    assert.equal(gpu.features.has(feature), adapter!.features.has(feature), `${feature} on ${name}`);
  }
  const plain = await openGpu({ features: "none" });
  for (const feature of ["timestamp-query", "shader-f16", "subgroups"]) {
    assert.equal(plain.features.has(feature), false, feature);
  }
  await plain.close();
}, ["deno"]);

onEveryAdapter(
  "a device destroyed in the middle gives GpuLostError from every way of waiting",
  async ({ name }) => {
    const adapter = await openAdapter(name);
    assert.equal(await adapter.gpu.breakdown(), null);
    using run = new TestProgram(adapter);
    const kept = run.output([4]);
    adapter.gpu.device.destroy();
    assert.ok(await adapter.gpu.breakdown() instanceof GpuLostError);
    await assert.rejects(adapter.gpu.read(kept.buffer!, 0, 16), GpuLostError);
    await assert.rejects(adapter.gpu.settle(), GpuLostError);
    assert.throws(() => adapter.gpu.check(), /was lost \(destroyed\): .+\. If it happens again/);
  },
  ["deno"],
);

onEveryAdapter("a device closed on purpose is no failure", async ({ name }) => {
  const { gpu } = await openAdapter(name);
  gpu.close();
  await gpu.device.lost;
  gpu.check();
}, ["deno"]);

onEveryAdapter("a refused command is reported by the next check", async ({ name }) => {
  const { gpu } = await openAdapter(name);
  gpu.device.createBuffer({ size: 4, usage: 0 });
  await assert.rejects(gpu.settle(), /refused a command: /);
  assert.equal(await gpu.breakdown(), null, "another device would refuse it, too");
  gpu.close();
}, ["deno"]);
