import assert from "node:assert/strict";
import { webGpuGate } from "../../web/gate.ts";

/** WebGPU's own defaults. */
const LIMITS = {
  maxBufferSize: 268_435_456,
  maxStorageBufferBindingSize: 134_217_728,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupStorageSize: 16_384,
};

/** WebGPU whose only adapter has this info; none where it is null. */
function gpuWith(info: Partial<GPUAdapterInfo> | null, limits: Partial<typeof LIMITS> = {}): GPU {
  const adapter = info && { info, limits: { ...LIMITS, ...limits } };
  return { requestAdapter: () => Promise.resolve(adapter) } as unknown as GPU;
}

Deno.test("webGpuGate() blames the connection before the missing API", async () => {
  const gate = await webGpuGate({ isSecureContext: false, navigator: {} });
  assert.ok(!gate.open);
  assert.equal(gate.missing, "secure context");
  assert.match(gate.problem, /insecure connection/);
  assert.match(gate.cure, /https.*http:\/\/localhost/);
});

Deno.test("webGpuGate() tells a browser without WebGPU from one without an adapter", async () => {
  const noApi = await webGpuGate({ isSecureContext: true, navigator: {} });
  const noAdapter = await webGpuGate({ isSecureContext: true, navigator: { gpu: gpuWith(null) } });
  assert.ok(!noApi.open && !noAdapter.open);
  assert.deepEqual([noApi.missing, noAdapter.missing], ["api", "adapter"]);
  assert.equal(noApi.problem, "This browser has no WebGPU.");
  assert.match(noAdapter.cure, /hardware acceleration/);
});

Deno.test("webGpuGate() names the adapter, and says whether it computes on the CPU", async () => {
  const hardware = gpuWith({ vendor: "apple", architecture: "metal-3", device: "", description: "" });
  const software = gpuWith({ vendor: "google", architecture: "swiftshader", device: "", description: "" });
  assert.deepEqual(await webGpuGate({ isSecureContext: true, navigator: { gpu: hardware } }), {
    open: true,
    adapter: "apple metal-3",
    software: false,
  });
  assert.deepEqual(await webGpuGate({ isSecureContext: true, navigator: { gpu: software } }), {
    open: true,
    adapter: "google swiftshader",
    software: true,
  });
});

Deno.test("webGpuGate() names the limit that an adapter lacks", async () => {
  const info = { vendor: "arm", architecture: "old", device: "", description: "" };
  const gate = await webGpuGate({
    isSecureContext: true,
    navigator: { gpu: gpuWith(info, { maxComputeInvocationsPerWorkgroup: 128 }) },
  });
  assert.ok(!gate.open);
  assert.equal(gate.missing, "limit");
  assert.match(
    gate.problem,
    /"arm old" allows a maxComputeInvocationsPerWorkgroup of 128, and training needs 256/,
  );
});
