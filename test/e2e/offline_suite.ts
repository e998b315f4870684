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
    await page.locator("header .adapter", { hasText: /swiftshader/i }).waitFor();
    await page.locator("#data-summary").waitFor();
    await page.locator("#start:not([disabled])").click();
    await page.locator("#run[data-status=completed], #problem").waitFor({ timeout: 120_000 });
    assert.deepEqual(await page.locator("#problem").allInnerTexts(), []);
    assert.match(await page.locator("#live").innerText(), /^Done: 2 steps/);
  });
});

/** Deploys another build: of other words, and with one script by another name. @returns That script's former name. */
async function deploy(version: string): Promise<string> {
  const site = `${built}/site`,
    [first, ...rest] = (await Deno.readTextFile(`${site}/service_worker.js`)).split("\n");
  const build: { version: string; files: string[] } = JSON.parse(/=(.*);$/.exec(first!)![1]!);
  const former = build.files.find((name) => /^run_export.*\.js$/.test(name))!,
    name = `run_export-${version}.js`;
  await Deno.rename(`${site}/${former}`, `${site}/${name}`);
  const files = build.files.map((file) => file === former ? name : file);
  const told = `self.PAGE_BUILD=${JSON.stringify({ version, files })};`;
  await Deno.writeTextFile(`${site}/service_worker.js`, [told, ...rest].join("\n"));
  const page = await Deno.readTextFile(`${site}/index.html`);
  await Deno.writeTextFile(
    `${site}/index.html`,
    page.replace(/(name="description" content=")[^"]*/, `$1${version}`),
  );
  return former;
}

/** In the page: looks for another build, and waits until it is kept and that of before is forgotten. */
async function takeBuild(version: string): Promise<string[]> {
  await (await navigator.serviceWorker.ready).update();
  for (;;) {
    const names = await caches.keys(), { active, installing, waiting } = await navigator.serviceWorker.ready;
    const isTaken = names.some((name) => name.endsWith(version)) && active?.state === "activated";
    if (isTaken && !installing && !waiting) return names;
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

inChromium(
  "a new build is what the next load gives, and a page of the former one that is still open goes on",
  async () => {
    await withTab(built, WEBGPU_FLAGS, async (page) => {
      await page.locator("#fit").waitFor({ timeout: 60_000 });
      await page.evaluate(async () => {
        await navigator.serviceWorker.ready;
        while (!navigator.serviceWorker.controller) await new Promise((wake) => setTimeout(wake, 50));
      });
      const former = await deploy("SECOND00");
      await page.evaluate(takeBuild, "SECOND00");
      await page.evaluate(async (name) => await import(new URL(name, document.baseURI).href), former);
      await deploy("THIRD000");
      assert.equal((await page.evaluate(takeBuild, "THIRD000")).length, 2);
      await page.reload();
      assert.equal(await page.locator("meta[name=description]").getAttribute("content"), "THIRD000");
      await page.locator("#fit").waitFor({ timeout: 60_000 });
    });
  },
);
