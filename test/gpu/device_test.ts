import assert from "node:assert/strict";
import { GpuLostError, GpuUnavailableError } from "../../src/errors.ts";
import { chooseAdapter } from "../../src/gpu/adapters.ts";
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

Deno.test("chooseAdapter() takes the adapter of a preference, or the first whose name has the words", async () => {
  const named = (description: string) => ({ info: { description, vendor: "", architecture: "" } });
  const large = named("NVIDIA H100"), small = named("Intel Iris Xe"), cpu = named("llvmpipe (LLVM 15)");
  const requestAdapter = ({ powerPreference, forceFallbackAdapter }: GPURequestAdapterOptions) =>
    Promise.resolve(forceFallbackAdapter ? cpu : powerPreference === "low-power" ? small : large);
  const entry = { requestAdapter } as unknown as GPU;
  for (
    const [choice, wanted] of [
      ...[["high-performance", large], ["low-power", small], ["h100", large], ["iris", small]] as const,
      ...[["LLVMpipe", cpu], ["i", large]] as const,
    ]
  ) assert.equal(await chooseAdapter(entry, choice), wanted, choice);
  await assert.rejects(openGpu({ entry, adapter: "Radeon" }), {
    name: "GpuUnavailableError",
    message: 'No adapter has "Radeon" in its name: WebGPU gives "NVIDIA H100", "Intel Iris Xe", ' +
      '"llvmpipe (LLVM 15)"; name one of these, or high-performance or low-power',
  });
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
