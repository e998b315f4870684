/**
 * The way of a person through the page: data, training, a pause, a reload, on to the end, talking, and taking the adapter
 * away.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Page } from "playwright-core";
import { pressedFor, shown } from "./browser.ts";

/** A data file as the page is handed it. */
export interface GivenFile {
  readonly name: string;
  readonly text: string;
}

/** Chooses a file as the training data, and waits until the page has read it. */
export async function chooseData(page: Page, { name, text }: GivenFile): Promise<void> {
  const file = { name, mimeType: "application/jsonl", buffer: Buffer.from(text) };
  await page.locator("#data-file").setInputFiles(file);
  await page.locator("#data-summary strong", { hasText: name }).waitFor();
}

/** Starts the run, pauses it as soon as it has made a step, loads the page anew, and goes on. */
export async function startPauseContinue(page: Page, afterReload: () => Promise<void>): Promise<void> {
  await page.evaluate(() => {
    const watch = new MutationObserver(() => {
      const stop = document.getElementById("stop");
      if (!stop || !document.getElementById("live")?.textContent?.startsWith("Step ")) return;
      watch.disconnect();
      stop.click(); // a press from here comes some steps earlier than the test's own
    });
    watch.observe(document.body, { childList: true, characterData: true, subtree: true });
  });
  await page.locator("#start:not([disabled])").click();
  await page.locator("#run:is([data-status=paused], [data-status=completed], [data-status=failed])")
    .waitFor({ timeout: 180_000 });
  assert.equal(
    await page.locator("#run").getAttribute("data-status"),
    "paused",
    await page.locator("main").innerText(),
  );
  await page.reload();
  await page.locator("#resume:not([disabled])").waitFor();
  await afterReload();
  await page.locator("#resume").click();
}

/** Waits for the end of the run; fails if it failed. */
export async function completed(page: Page): Promise<void> {
  await page.locator("#run[data-status=completed], #problem").waitFor({ timeout: 180_000 });
  assert.deepEqual(await page.locator("#problem").allInnerTexts(), []);
}

/** A row of metrics.csv. */
export interface CourseRow {
  readonly step: number;
  readonly loss: number | null;
  readonly evalLoss: number | null;
}

/** The course of the run, as the page gives it for spreadsheets. */
export async function course(page: Page): Promise<CourseRow[]> {
  const [names, ...lines] = new TextDecoder().decode(await pressedFor(page, "save-metrics")).trimEnd()
    .split("\r\n").map((line) => line.split(","));
  return lines.map((values) => {
    const number = (name: string) => {
      const value = values[names!.indexOf(name)]!;
      return value === "" ? null : Number(value);
    };
    return { step: number("step")!, loss: number("loss"), evalLoss: number("eval_loss") };
  });
}

/** The most probable answers of base and trained model to a question, from the chat of the run that is shown. */
export async function answers(page: Page, question: string): Promise<{ base: string; adapter: string }> {
  await page.locator("#to-chat").click();
  await page.locator("#send:not([disabled])").waitFor({ timeout: 60_000 });
  await page.locator("#chat-both").click();
  await page.locator("#chat-temperature").fill("0");
  await page.locator("#chat-tokens").fill("24");
  await page.locator("#question").fill(question);
  await page.keyboard.press("Enter");
  await page.locator("#turns .answer[data-side=adapter][aria-busy=false]").waitFor({ timeout: 60_000 });
  assert.deepEqual(await page.locator("#chat-problem").allInnerTexts(), []);
  const said = (side: string) => page.locator(`#turns .answer[data-side=${side}] .said`).innerText();
  const both = { base: await said("base"), adapter: await said("adapter") };
  await page.goBack();
  await shown(page, "run");
  return both;
}
