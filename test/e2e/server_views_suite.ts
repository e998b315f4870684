/**
 * What the page shows of its server, and does there. Run by `server_views_test.ts`, in a process of its own.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Page } from "playwright-core";
import { CuttingProxy } from "../helpers/cutting_proxy.ts";
import { newToken, startServer } from "../helpers/server_process.ts";
import { unzipped } from "../helpers/zip.ts";
import { FLAGS, inChromium, shown, withPage } from "./browser.ts";
import { SHORT_JOB, withServedPage } from "./served_page.ts";

const TINY = new URL("../../examples/tiny/model", import.meta.url).pathname;

/** A copy of the bundled model for the server alone. */
async function putModel(data: string, name: string): Promise<void> {
  const folder = `${data}/models/${name}`;
  await Deno.mkdir(folder, { recursive: true });
  for await (const { name } of Deno.readDir(TINY)) {
    await Deno.writeFile(`${folder}/${name}`, await Deno.readFile(`${TINY}/${name}`));
  }
}

const ROWS = Array.from(
  { length: 12 },
  (_, i) => JSON.stringify({ prompt: `Signal ${"abcdefghijkl"[i]}.`, completion: "L-A-M-P" }),
);

async function takeRows(page: Page, rows: readonly string[]): Promise<void> {
  const buffer = Buffer.from(rows.join("\n"));
  await page.locator("#data-file").setInputFiles({
    name: "rows.jsonl",
    mimeType: "application/jsonl",
    buffer,
  });
}

inChromium(
  "a browser without WebGPU sets a run up with a model of the server, and starts it there",
  async () => {
    const options = { job: SHORT_JOB, flags: FLAGS, fill: (data: string) => putModel(data, "ada/ember") };
    await withServedPage(options, async (page) => {
      await page.locator("#gate[data-missing]").getByText("The server behind this page can").waitFor();
      await page.locator("#model").selectOption({ label: "ada/ember (on the server)" });
      await page.locator("#model-facts").getByText("llama").waitFor();
      await takeRows(page, [...ROWS.slice(1), '{"prompt": "Signal light."}']);
      await shown(page, "bad-lines");
      await page.locator("#start-on-server[disabled]").waitFor();
      await takeRows(page, ROWS);
      await page.locator("#row-preview").getByText("L-A-M-P").first().waitFor();
      await page.locator("#prompt").fill("Signal lighthouse.");
      await page.locator("#add-prompt").click();
      assert.equal(await page.locator("#start").count(), 0);
      await page.locator("#start-on-server:not([disabled])").click();
      await page.locator("#server-job[data-status=succeeded]").waitFor({ timeout: 180_000 });
      const config = JSON.parse((await page.locator("#server-config").textContent())!);
      assert.deepEqual([config.base_model, config.max_steps], ["ada/ember", SHORT_JOB.max_steps]);
      assert.deepEqual(config.sample_prompts, ["Signal lighthouse."]);
      await page.locator("#samples").getByText("Signal lighthouse.").waitFor();
      assert.equal(await page.locator("#samples thead th").last().innerText(), "Now, step 6");
      const steps = page.locator("#server-checkpoints tbody th");
      assert.deepEqual(await steps.allInnerTexts(), ["3", "6"]);
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("button", { name: /^Adapter/ }).click(),
      ]);
      const names = [...unzipped(await Deno.readFile(await download.path())).keys()];
      assert.deepEqual(names.filter((name) => name.startsWith("adapter_")).sort(), [
        "adapter_config.json",
        "adapter_model.safetensors",
      ]);
      await page.locator("#server-chat").click();
      await page.locator("#chat-both:not([disabled])").click();
      await page.locator("#chat-temperature").fill("0");
      await page.locator("#chat-tokens").fill("8");
      await page.locator("#question").fill("Signal lamp.");
      await page.locator("#send:not([disabled])").click();
      for (const side of ["adapter", "base"]) {
        const answer = page.locator(`#turns .answer[data-side=${side}][aria-busy=false]`);
        await answer.waitFor({ timeout: 120_000 });
        assert.match(await answer.locator("h2").innerText(), /[1-8] tokens?/);
        assert.ok((await answer.locator(".said").innerText()).trim() !== "");
      }
      assert.equal(await page.locator("#chat-problem").count(), 0);
    });
  },
);

inChromium(
  "a server with tokens is asked with the one that the user gives, which no address tells",
  async () => {
    let token = "";
    const addresses: string[] = [];
    const options = {
      job: SHORT_JOB,
      flags: FLAGS,
      expected: /401/,
      fill: async (data: string) => void (token = await newToken(data, "ada")),
    };
    await withServedPage(options, async (page, { origin }) => {
      page.on("request", (request) => addresses.push(request.url()));
      await page.locator("#to-token").click();
      await page.locator("#server-token").waitFor();
      assert.equal(await page.locator("#server-problem").count(), 0);
      const give = async (text: string) => {
        await page.locator("#server-token").fill(text);
        await page.locator("#use-token").click();
      };
      await give(`${token.slice(0, -1)}!`);
      await page.locator("#server-problem").getByText("does not know this token").waitFor();
      await give(` ${token} `);
      await page.getByText("No job yet.").waitFor();
      assert.equal(await page.locator("#server-problem").count(), 0);
      const kept = await page.evaluate(() => [{ ...localStorage }, { ...sessionStorage }]);
      assert.deepEqual(kept.map((one) => JSON.stringify(one).includes(token)), [false, true]);
      await page.reload(); // the same visit
      await page.getByText("No job yet.").waitFor();
      const tab = await page.context().newPage(); // another one
      await tab.goto(`${origin}/page/#/server`);
      await tab.locator("#server-token").waitFor();
      await tab.close();
      await page.locator("nav").getByText("Train").click();
      await page.locator("#start-on-server:not([disabled])").click();
      await page.locator("#server-job").waitFor();
      for (const _ of ["asked", "sure"]) await page.locator("#server-cancel").press("Enter");
      await page.locator("#server-job[data-status=cancelled]").waitFor({ timeout: 60_000 });
    });
    assert.ok(addresses.length > 10 && !addresses.some((address) => address.includes(token)));
  },
);

/** The port that a server listens at. */
const portOf = ({ origin }: { readonly origin: string }) => Number(new URL(origin).port);

inChromium("a connection that breaks and a server that is started again cost the page no event", async () => {
  const data = await Deno.makeTempDir({ prefix: "lowrank-serve-" });
  await using proxy = new CuttingProxy();
  let server = await startServer(data, ["--quiet"]);
  proxy.target = portOf(server);
  const job = { ...SHORT_JOB, max_steps: 28, save_steps: 5 };
  const options = {
    flags: FLAGS,
    expected: /Failed to load resource/,
    mayFail: () => true,
    prepare: async (page: Page) => {
      await page.route("**/defaults.json", (route) => route.fulfill({ json: job }));
    },
  };
  const resumedAfter: number[] = [];
  try {
    await withPage(`http://127.0.0.1:${proxy.port}/`, options, async (page) => {
      page.on("request", (request) => {
        if (request.url().endsWith("/events")) resumedAfter.push(Number(request.headers()["last-event-id"]));
      });
      const steps = async (least: number) =>
        await page.waitForFunction(
          (least) =>
            (document.querySelector<HTMLProgressElement>("#server-job progress")?.value ?? 0) >= least,
          least,
          { timeout: 180_000 },
        );
      await page.locator("#start-on-server:not([disabled])").click();
      await steps(2);
      proxy.drop();
      await page.locator("#server-retries").waitFor();
      await page.locator("#server-retries").waitFor({ state: "detached" });
      const before = await page.locator("#server-job progress").evaluate((one) =>
        (one as HTMLProgressElement).value
      );
      await steps(before + 1);
      server.kill("SIGKILL");
      await server.stop();
      await page.locator("#server-retries").waitFor();
      assert.match(await page.locator("#server-problem").innerText(), /server (broke|does not answer)/);
      server = await startServer(data, ["--quiet"]);
      proxy.target = portOf(server);
      await page.locator("#server-job[data-status=succeeded]").waitFor({ timeout: 240_000 });
      assert.equal(await page.locator("#server-problem").count(), 0);
      const told = await page.locator("#loss-table tbody td:first-child").allTextContents();
      assert.deepEqual(
        told.map(Number).filter((step) => step > 0),
        Array.from({ length: job.max_steps }, (_, i) => i + 1),
      );
    });
    assert.ok(resumedAfter.length >= 3 && resumedAfter[0] === 0, `${resumedAfter}`);
    assert.ok(resumedAfter.slice(1).every((id, i) => id > 0 && id >= resumedAfter[i]!), `${resumedAfter}`);
  } finally {
    await server.stop();
    await Deno.remove(data, { recursive: true });
  }
});
