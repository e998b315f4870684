/**
 * Pictures of every view of the page: light and dark, on a desktop and on a phone.
 *
 *     deno task screenshots
 *
 * @module
 */
import type { Page } from "playwright-core";
import defaults from "../../web/defaults.json" with { type: "json" };
import { buildSite, closeBrowsers } from "./browser.ts";
import { visitViews } from "./page_views.ts";

/** Where the pictures go; the README shows two of them, the others are kept out of the repository. */
const FOLDER = new URL("../../docs/screenshots/", import.meta.url).pathname;

const SCREENS = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } } as const;
const SCHEMES = ["light", "dark"] as const;

/** The whole page, on a screen of its height, so that what sticks to the screen's edges is there. */
async function photograph(page: Page, view: string): Promise<void> {
  for (const [screen, { width, height }] of Object.entries(SCREENS)) {
    await page.setViewportSize({ width, height });
    const whole = await page.evaluate(() => {
      scrollTo(0, 0);
      return document.documentElement.scrollHeight;
    });
    await page.setViewportSize({ width, height: Math.max(height, whole) });
    for (const colorScheme of SCHEMES) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.screenshot({ path: `${FOLDER}${view}-${screen}-${colorScheme}.png` });
    }
  }
  await page.setViewportSize(SCREENS.desktop);
  console.log(view);
}

const built = await buildSite({ ...defaults, eval_steps: 10 });
try {
  await Deno.mkdir(FOLDER, { recursive: true });
  await visitViews(built, { pauseAfter: 20 }, photograph);
  console.log(`in ${FOLDER}`);
} finally {
  await closeBrowsers();
  await Deno.remove(built, { recursive: true });
}
