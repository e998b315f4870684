/**
 * The page without its server: what was loaded once must be enough. Run by `offline_test.ts`, in a process of its own.
 */
import assert from "node:assert/strict";
import defaults from "../../web/defaults.json" with { type: "json" };
import { buildSite, inChromium, WEBGPU_FLAGS, withTab } from "./browser.ts";

const built = await buildSite({
  ...defaults,
  ...{ max_steps: 2, batch_size: 2, eval_steps: 0, num_generation_samples: 0, exact_match: false },
  ...{ eval_data_path: null, train_test_split: 0 },
});

await Deno.mkdir(`${built}/site/onnx`);
await Deno.writeTextFile(`${built}/site/onnx/used.txt`, "used");

globalThis.addEventListener("unload", () => Deno.removeSync(built, { recursive: true }));

inChromium("a page that was opened once opens and trains without its server", async () => {
  await withTab(built, WEBGPU_FLAGS, async (page, server) => {
    const kept = await page.evaluate(async () => {
      await navigator.serviceWorker.ready;
      const names = await caches.keys();
      return (await (await caches.open(names[0]!)).keys()).map(({ url }) => new URL(url).pathname);
    });
    for (const name of ["index.html", "main.js", "worker.js", "models/lowrank-tiny/model.safetensors"]) {
      assert.ok(kept.includes(`/site/${name}`), `${name} is not among ${kept}`);
    }
    const used = () => page.evaluate(async () => await (await fetch("onnx/used.txt")).text());
    assert.equal(await used(), "used"); // stands for what only browsers without WebGPU load
    await server.stop();
    assert.equal(await used(), "used");
    await page.reload();
    assert.match(await page.locator("header .adapter").innerText(), /swiftshader/i);
    await page.locator("#data-summary").waitFor();
    await page.locator("#start:not([disabled])").click();
    await page.locator("#run[data-status=completed], #problem").waitFor({ timeout: 120_000 });
    assert.deepEqual(await page.locator("#problem").allInnerTexts(), []);
    assert.match(await page.locator("#live").innerText(), /^Done: 2 steps/);
  });
});
