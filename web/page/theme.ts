/**
 * Light or dark: the system's choice until the user makes one.
 *
 * @module
 */
import { keepChoice, keptChoice } from "./kept_choice.ts";

/** What the user chose; `system` for nothing. */
export type Theme = "system" | "light" | "dark";

const NAME = "theme";

/** The choice of an earlier visit. */
export function savedTheme(): Theme {
  const saved = keptChoice(NAME);
  return saved === "light" || saved === "dark" ? saved : "system";
}

export function applyTheme(theme: Theme): void {
  document.documentElement.dataset.theme = theme;
  keepChoice(NAME, theme === "system" ? null : theme);
}

/** The other one of what is shown now. */
export function otherTheme(): Theme {
  const { theme } = document.documentElement.dataset;
  const isDark = theme === "dark" ||
    (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  return isDark ? "light" : "dark";
}
