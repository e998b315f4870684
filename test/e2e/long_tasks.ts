/**
 * Tasks that hold the page's main thread: a press on a button waits for their end.
 *
 * @module
 */
import type { Page } from "playwright-core";

/** What a tab keeps, milliseconds of its clock. */
interface Watched {
  /** Tasks of more than 50 ms. */
  longTasks: { readonly start: number; readonly duration: number }[];
  /** When the page first told of a step, and of the end. */
  firstStep: number;
  done: number;
}

/** From now on the tab notes how long its tasks take, and between which times it trains. */
export async function watchTasks(page: Page): Promise<void> {
  await page.evaluate(() => {
    const tab = Object.assign(globalThis as unknown as Watched, {
      longTasks: [],
      firstStep: Infinity,
      done: Infinity,
    });
    new PerformanceObserver((list) => {
      for (const { startTime: start, duration } of list.getEntries()) tab.longTasks.push({ start, duration });
    }).observe({ type: "longtask" });
    new MutationObserver(() => {
      const text = document.getElementById("live")?.textContent ?? "", now = performance.now();
      if (text.startsWith("Step ")) tab.firstStep = Math.min(tab.firstStep, now);
      if (text.startsWith("Done")) tab.done = Math.min(tab.done, now);
    }).observe(document.body, { childList: true, characterData: true, subtree: true });
  });
}

/** The main thread while the page trained, milliseconds. */
export interface MainThread {
  readonly trainedMs: number;
  /** 0 where no task took more than 50 ms. */
  readonly longestTaskMs: number;
}

/** From the first step to the last, of a run that is done. */
export async function mainThread(page: Page): Promise<MainThread> {
  return await page.evaluate(() => {
    const { longTasks, firstStep, done } = globalThis as unknown as Watched;
    const within = longTasks.filter(({ start, duration }) => start + duration > firstStep && start < done);
    return {
      trainedMs: done - firstStep,
      longestTaskMs: Math.max(0, ...within.map(({ duration }) => duration)),
    };
  });
}
