/**
 * The part of the walk through the page's views that shows its server, and what changes where there is one.
 *
 * @module
 */
import { FLAGS, withTab } from "./browser.ts";
import type { Look } from "./page_views.ts";
import { tellServer } from "./told_server.ts";

/** Shows them one after another, in a browser without WebGPU. @param root As {@link withTab} has it. */
export async function visitServerViews(root: string, look: Look): Promise<void> {
  await withTab(root, FLAGS, async (page) => {
    const go = async (path: string) => await page.evaluate((path) => location.hash = `#/${path}`, path);
    await go("server");
    await page.locator("#server-jobs").waitFor();
    await look(page, "server");
    await go("server/ftjob-running");
    await page.locator("#loss-table tr").nth(2).waitFor({ state: "attached" });
    await look(page, "server-job");
    await go("server/ftjob-done");
    await page.locator("#server-files button").first().waitFor();
    for (const details of await page.locator("main details").all()) {
      await details.evaluate((details) => (details as HTMLDetailsElement).open = true);
    }
    await look(page, "server-job-done");
    await go("train");
    await page.locator("#start-on-server:not([disabled])").waitFor({ timeout: 60_000 });
    await page.locator("#row-preview").waitFor({ timeout: 60_000 });
    await look(page, "train-server-only");
    await go("server/ftjob-failed");
    await page.getByRole("heading", { name: "The job failed" }).waitFor();
    await look(page, "server-job-failed");
  }, tellServer);
  await withTab(root, FLAGS, async (page) => {
    await page.evaluate(() => location.hash = "#/server");
    await page.locator("#server-token").waitFor();
    await look(page, "server-token");
    await page.locator("#server-token").fill("wrong");
    await page.locator("#use-token").click();
    await page.locator("#server-problem").waitFor();
    await look(page, "server-token-wrong");
  }, async (page) => {
    await tellServer(page);
    for (const part of ["v1/**", "api/storage"]) {
      await page.route(`**/${part}`, (route) => route.fulfill({ status: 401, json: {} }));
    }
  }, { expected: /401/ });
}
