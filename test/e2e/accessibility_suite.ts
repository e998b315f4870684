/**
 * What axe-core finds in the views of the page, light and dark, on a desktop and on a phone. Run by
 * `accessibility_test.ts`, in a process of its own.
 */
import assert from "node:assert/strict";
import axe, { type RunOptions } from "axe-core";
import type { Page } from "playwright-core";
import defaults from "../../web/defaults.json" with { type: "json" };
import { buildSite, inChromium } from "./browser.ts";
import { visitViews } from "./page_views.ts";

/** Impacts by axe-core's words that no view may have. */
const REFUSED = ["moderate", "serious", "critical"];

interface Look {
  readonly colorScheme: "light" | "dark";
  readonly viewport: { readonly width: number; readonly height: number };
  readonly rules: RunOptions;
}

/** Colours alone are what differs in the dark, so that no other rule is tried twice. */
const LOOKS: readonly Look[] = [
  { colorScheme: "light", viewport: { width: 390, height: 844 }, rules: {} },
  { colorScheme: "dark", viewport: { width: 1280, height: 800 }, rules: { runOnly: ["color-contrast"] } },
];

const built = await buildSite({
  ...defaults,
  ...{ max_steps: 6, batch_size: 2, eval_batch_size: 8, eval_data_path: null, train_test_split: 0.01 },
  ...{ num_generation_samples: 2, exact_match: false },
});

globalThis.addEventListener("unload", () => Deno.removeSync(built, { recursive: true }));

/** Each fault by its rule, with the elements that have it. */
async function faultsOf(page: Page, rules: RunOptions): Promise<string[]> {
  await page.evaluate(axe.source); // as the page's content policy takes no script from elsewhere
  const { violations } = await page.evaluate(
    (rules) =>
      (globalThis as unknown as { axe: typeof axe }).axe.run({ resultTypes: ["violations"], ...rules }),
    rules,
  );
  return violations.filter(({ impact }) => REFUSED.includes(impact!))
    .map(({ id, impact, nodes }) => `${id} (${impact}): ${nodes.map(({ html }) => html).join(" ")}`);
}

inChromium("axe-core finds no serious fault in any view", async () => {
  const views: string[] = [], faults: Record<string, string[]> = {};
  await visitViews(built, { pauseAfter: 2 }, async (page, view) => {
    views.push(view);
    for (const { colorScheme, viewport, rules } of LOOKS) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      const found = await faultsOf(page, rules);
      if (found.length > 0) faults[`${view}, ${colorScheme}`] = found;
    }
  });
  assert.deepEqual(faults, {});
  assert.ok(views.length >= 12, `only ${views.join(", ")}`);
});
