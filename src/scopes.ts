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
  "storage:write": "Write buckets and job documents through the proxy",
  "metrics:read": "Read the server's metrics",
} as const;

/** One of {@link SCOPES}. */
export type Scope = keyof typeof SCOPES;

/** All of {@link SCOPES}. */
export const ALL_SCOPES: readonly Scope[] = Object.keys(SCOPES) as Scope[];
