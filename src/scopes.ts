/**
 * What a token of the server may allow.
 *
 * @module
 */

/** Every scope, with what it allows. A route names the one that it needs. */
export const SCOPES = {
  "files:read": "List and read files",
  "files:write": "Upload and delete files",
  "jobs:read": "Read fine-tuning jobs, their events and checkpoints",
  "jobs:write": "Create, cancel, pause and resume fine-tuning jobs",
  "models:read": "List models",
  "models:write": "Delete fine-tuned models",
  "chat": "Generate text with the models",
  "storage:read": "Read buckets through the proxy",
  "storage:write": "Write buckets through the proxy",
  "records:read": "Read job records through the proxy",
  "records:write": "Write job records through the proxy",
  "metrics:read": "Read the server's metrics",
} as const;

/** One of {@link SCOPES}. */
export type Scope = keyof typeof SCOPES;

/** All of {@link SCOPES}. */
export const ALL_SCOPES: readonly Scope[] = Object.keys(SCOPES) as Scope[];

/** A scope as tokens name it: one of {@link SCOPES}, or a storage scope and the only place where it holds. */
export type GrantedScope = Scope | `${StorageScope}:${string}`;

type StorageScope = "storage:read" | "storage:write";

/** Whether a text is a scope as tokens name it, such as `chat` or `storage:read:gs/my-bucket/data`. */
export function isGrantedScope(text: string): text is GrantedScope {
  return Object.hasOwn(SCOPES, text) || grantedPlace(text) !== null;
}

/** The place of a storage scope that holds in one place only; null for any other text. */
export function grantedPlace(text: string): { readonly scope: StorageScope; readonly place: string } | null {
  const [, scope, place = ""] = /^(storage:(?:read|write)):([\w.@-]+(?:\/[\w.@-]+)*)$/.exec(text) ?? [];
  const isPlain = place.split("/").every((part) => part !== "." && part !== "..");
  return scope !== undefined && isPlain ? { scope: scope as StorageScope, place } : null;
}
