/**
 * The token that this user has for the Hub of Hugging Face: a variable, or the file that `hf auth login` writes. Deno only.
 *
 * @module
 */
import { variable } from "./environment.ts";

/** Null where there is none. It is never part of a message. */
export function hubToken(): string | null {
  const given = variable("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")?.trim();
  if (given) return given;
  const path = tokenPath();
  if (path === null || variable("HF_HUB_DISABLE_IMPLICIT_TOKEN")) return null;
  try {
    return Deno.readTextFileSync(path).trim() || null;
  } catch {
    return null; // not there, or not to be read
  }
}

function tokenPath(): string | null {
  const named = variable("HF_TOKEN_PATH");
  if (named !== null) return named;
  const home = hubHome();
  return home === null ? null : `${home}/token`;
}

/** Where the tools of the Hub keep what is the user's: HF_HOME, or their folder in the cache. */
export function hubHome(): string | null {
  const named = variable("HF_HOME");
  if (named !== null) return named;
  const cache = variable("XDG_CACHE_HOME"), home = variable("HOME", "USERPROFILE");
  if (cache !== null) return `${cache}/huggingface`;
  return home === null ? null : `${home}/.cache/huggingface`;
}
