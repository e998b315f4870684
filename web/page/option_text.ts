/**
 * Options as text: what a form shows and reads, and what stands behind a flag.
 *
 * @module
 */
import type { ConfigField } from "../../src/config.ts";

/** An option's value as a person writes it; empty for none. */
export function writeOption({ kind }: Pick<ConfigField, "kind">, value: unknown): string {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.join(",");
  if (kind === "pairs" && typeof value === "object") {
    return Object.entries(value).map(([name, one]) => `${name}=${one}`).join(",");
  }
  return String(value);
}

/** The value that a text stands for, which the declarations then judge; undefined, so the default, for no text. */
export function readOption(
  { kind, expression }: Pick<ConfigField, "kind" | "expression">,
  text: string,
): unknown {
  const trimmed = text.trim();
  if (trimmed === "") return undefined;
  switch (kind) {
    case "number":
      return numberOr(trimmed);
    case "word":
      return trimmed === "true" ? true : trimmed === "false" ? false : trimmed;
    case "list":
      return expression && !/^[\w.,\s-]+$/.test(trimmed) ? trimmed : listOr(trimmed);
    case "numbers":
      return trimmed.split(",").map((part) => numberOr(part.trim()));
    case "pairs":
      return Object.fromEntries(
        trimmed.split(",").map((pair) => {
          const [name = "", ...rest] = pair.split("=");
          return [name.trim(), numberOr(rest.join("=").trim())];
        }),
      );
    default:
      return trimmed;
  }
}

/** A name that reads as one: `lora_r` as `LoRA r`. */
export function titleOf(wireName: string): string {
  const words = wireName.replace(/^num_/, "").replaceAll("_", " ").replace(/\blora\b/g, "LoRA")
    .replace(/\blr\b/g, "learning rate");
  return `${words[0]!.toUpperCase()}${words.slice(1)}`;
}

function numberOr(text: string): number | string {
  const value = Number(text);
  return text === "" || Number.isNaN(value) ? text : value;
}

/** One name stays a word, as `all-linear` must. */
function listOr(text: string): string | string[] {
  const parts = text.split(",").map((part) => part.trim()).filter((part) => part !== "");
  return parts.length === 1 ? parts[0]! : parts;
}
