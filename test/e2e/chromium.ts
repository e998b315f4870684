/**
 * Finding the browser, apart from what drives it.
 *
 * @module
 */

/** Where Chromium is; null where there is none. */
export const chromiumPath: string | null = findChromium();

function findChromium(): string | null {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
      try {
        if (Deno.statSync(`${folder}/${name}`).isFile) return `${folder}/${name}`;
      } catch {
        // not here
      }
    }
  }
  return null;
}
