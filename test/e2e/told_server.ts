/**
 * A server's answers to the page without a server: jobs in each state, one of which runs.
 *
 * @module
 */
import type { Page } from "playwright-core";

const NOW = Math.floor(Date.now() / 1000);

const JOBS = [
  { id: "ftjob-running", status: "running", user_provided_suffix: "lighthouse", created_at: NOW - 300 },
  { id: "ftjob-queued", status: "queued", user_provided_suffix: "harbour", created_at: NOW - 240 },
  { id: "ftjob-paused", status: "paused", user_provided_suffix: null, created_at: NOW - 4000 },
  { id: "ftjob-done", status: "succeeded", user_provided_suffix: "signals", created_at: NOW - 90_000 },
  { id: "ftjob-failed", status: "failed", user_provided_suffix: "tides", created_at: NOW - 200_000 },
].map((job) => ({
  ...job,
  model: "lowrank-tiny",
  fine_tuned_model: job.status === "succeeded" ? "ft:lowrank-tiny:lowrank:signals:ab12cd34" : null,
  error: job.status === "failed" ? { message: "The loss is not finite any more after step 12." } : null,
}));

/** Events of a job: 40 steps of 100. */
function events(): string {
  const told = [
    { level: "info", type: "message", message: "Fine-tuning job started", data: null },
    ...Array.from(
      { length: 40 },
      (_, i) => ({
        level: "info",
        type: "metrics",
        message: `Step ${i + 1}/100`,
        data: {
          ...{
            step: i + 1,
            total_steps: 100,
            train_loss: 7 / (1 + i / 4),
            learning_rate: 2e-4,
            grad_norm: 3 - i / 20,
          },
          ...{ tokens: 900 * (i + 1), tokens_per_second: 3100 },
        },
      }),
    ),
  ];
  return told.map((event, i) => `id: ${i + 1}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
    .join("");
}

/** Has a page believe that its server trains, before it is loaded. */
export async function tellServer(page: Page): Promise<void> {
  await page.route("**/server.json", (route) => route.fulfill({ json: { api: "./" } }));
  await page.route("**/v1/fine_tuning/jobs**", (route) => {
    const { pathname } = new URL(route.request().url());
    const [, id, rest] = /jobs\/([^/]+)(\/events)?$/.exec(pathname) ?? [];
    if (rest) return route.fulfill({ contentType: "text/event-stream", body: events() });
    return route.fulfill({ json: id ? JOBS.find((job) => job.id === id) : { data: JOBS } });
  });
}
