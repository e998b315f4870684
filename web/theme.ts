/**
 * Light or dark: the system's choice until the user makes one.
 *
 * @module
 */

/** What the user chose; `system` for nothing. */
export type Theme = "system" | "light" | "dark";

const KEY = "lowrank theme";

/** The choice of an earlier visit. */
export function savedTheme(): Theme {
  try {
    const saved = localStorage.getItem(KEY);
    return saved === "light" || saved === "dark" ? saved : "system";
  } catch {
    return "system"; // the browser keeps nothing for this page
  }
}

export function applyTheme(theme: Theme): void {
  document.documentElement.dataset.theme = theme;
  try {
    if (theme === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    // for this visit only, then
  }
}

/** The other one of what is shown now. */
export function otherTheme(): Theme {
  const { theme } = document.documentElement.dataset;
  const isDark = theme === "dark" ||
    (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  return isDark ? "light" : "dark";
}
