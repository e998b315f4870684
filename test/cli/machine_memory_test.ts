import assert from "node:assert/strict";
import { machineMemory, memoryWithin } from "../../src/cli/machine_memory.ts";

const MACHINE = { total: 64e9, available: 50e9 };

Deno.test("memoryWithin() leaves of a limit what the process does not hold, and never more than the machine has", () => {
  assert.deepEqual(memoryWithin(MACHINE, 8e9, 1e9), {
    totalBytes: 8e9,
    availableBytes: 7e9,
    limitBytes: 8e9,
  });
  assert.equal(memoryWithin(MACHINE, 60e9, 1e9).availableBytes, 50e9, "others have taken the machine's");
  assert.equal(memoryWithin(MACHINE, 8e9, 9e9).availableBytes, 0);
});

Deno.test("memoryWithin() takes 0 and more than the machine has, which the kernel says for none, as no limit", () => {
  const unlimited = { totalBytes: 64e9, availableBytes: 50e9, limitBytes: null };
  for (const limit of [0, 2 ** 63, 64e9]) assert.deepEqual(memoryWithin(MACHINE, limit, 1e9), unlimited);
});

Deno.test("machineMemory() is within what this machine has", () => {
  const { totalBytes, availableBytes } = machineMemory();
  assert.ok(0 < availableBytes && availableBytes <= totalBytes, `${availableBytes} of ${totalBytes}`);
  assert.ok(totalBytes <= Deno.systemMemoryInfo().total);
});
