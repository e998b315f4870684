/**
 * A training step of each family in Chromium and in Deno, which must agree. Run by `families_test.ts`, in a process of its
 * own.
 */
import assert from "node:assert/strict";
import { LocalFolder } from "../../src/storage/local.ts";
import { bundle } from "../../web/build.ts";
import { assertClose, tensor } from "../helpers/close.ts";
import { device } from "../helpers/device.ts";
import { inChromium, WEBGPU_FLAGS, withTab } from "./browser.ts";
import { goldenCases, GOLDENS, serveGoldens } from "./family_goldens.ts";
import { type FamilyStep, familyStep, type Tensors } from "./family_step.ts";
import type { FamilyMessage } from "./family_worker.ts";

/** Of numbers that two adapters compute. */
const TOLERANCE = 1e-4;

const cases = await goldenCases();
const root = await Deno.makeTempDir({ prefix: "lowrank-families-" });
globalThis.addEventListener("unload", () => Deno.removeSync(root, { recursive: true }));

type Steps = Extract<FamilyMessage, { adapter: string }>;

let ran: Promise<Steps> | null = null;

/** The steps of all cases, in one page. */
function inPage(): Promise<Steps> {
  return ran ??= (async () => {
    await serveGoldens(cases, `${root}/site/golden`);
    await bundle([new URL("family_worker.ts", import.meta.url).pathname], `${root}/site`);
    await Deno.writeTextFile(
      `${root}/site/index.html`,
      '<!DOCTYPE html><title>families</title><link rel="icon" href="data:," />',
    );
    const messages: FamilyMessage[] = [];
    await withTab(root, WEBGPU_FLAGS, async (page) => {
      const message = await page.evaluate(() =>
        new Promise<FamilyMessage>((done, failed) => {
          const worker = new Worker("family_worker.js", { type: "module" });
          worker.onmessage = ({ data }) => done(data);
          worker.onerror = ({ message }) => failed(new Error(message));
        })
      );
      messages.push(message);
    });
    const [message] = messages as [FamilyMessage];
    if ("problem" in message) throw new Error(message.problem);
    return message;
  })();
}

inChromium("the page computes on an adapter of its own", async () => {
  const { adapter, steps } = await inPage();
  assert.match(adapter, /swiftshader/i);
  assert.notEqual(adapter, device!.gpu.name);
  assert.deepEqual(Object.keys(steps).sort(), [...cases].sort());
});

for (const name of cases) {
  inChromium(`${name}: logits, loss, every LoRA gradient and the updated adapter are Deno's`, async () => {
    const found = (await inPage()).steps[name]!;
    const wanted = await familyStep(device!.gpu, device!.pipelines, new LocalFolder(`${GOLDENS}/${name}`));
    for (const number of ["loss", "gradNorm", "lossAfter"] as const) {
      assertNear(found[number], wanted[number], number);
    }
    assert.ok(wanted.lossAfter < wanted.loss, "the step did not lower the loss");
    assertClose(found.logits, wanted.logits, tensor("f32"));
    assertSame(found, wanted, "gradients");
    assertSame(found, wanted, "adapter");
  });
}

function assertNear(found: number, wanted: number, what: string): void {
  const near = Math.abs(found - wanted) <= TOLERANCE * Math.abs(wanted);
  assert.ok(near, `${what}: the page says ${found}, Deno ${wanted}`);
}

/** The same tensors on both sides. An adapter without its step would be a hundredfold of the tolerance off. */
function assertSame(found: FamilyStep, wanted: FamilyStep, part: "gradients" | "adapter"): void {
  const [got, want]: [Tensors, Tensors] = [found[part], wanted[part]];
  assert.deepEqual(Object.keys(got), Object.keys(want));
  for (const [key, values] of Object.entries(want)) {
    assert.ok(values.some((value) => value !== 0), `${part} of ${key} are all 0`);
    assertClose(got[key]!, values, tensor("f32"));
  }
}
