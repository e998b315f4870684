/**
 * The server's app over SQLite in memory and a temporary data folder, without a port.
 */
import { type AccessEntry, type App, type AppDeps, createApp } from "../../server/app.ts";
import { checkData } from "../../server/data_check.ts";
import { Database } from "../../server/database.ts";
import { FileStore } from "../../server/file_store.ts";
import type { Scope } from "../../server/scopes.ts";
import { DEFAULT_SETTINGS, type ServerSettings } from "../../server/settings.ts";
import { TokenStore } from "../../server/token_store.ts";

/** An app under test. */
export interface TestServer {
  readonly app: App;
  readonly deps: AppDeps;
  readonly database: Database;
  readonly folder: string;
  readonly log: readonly AccessEntry[];
  /** Milliseconds since 1970, as the server sees it. */
  readonly clock: { now: number };
  /** The header of a new token. */
  bearer(...scopes: Scope[]): { authorization: string };
}

/** Makes an app, hands it to `work`, and removes what it left. Without tokens unless `settings` says otherwise. */
export async function withServer(
  settings: Partial<ServerSettings>,
  work: (server: TestServer) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "lowrank-server-" });
  const database = new Database(), log: AccessEntry[] = [], clock = { now: 1_790_000_000_000 };
  const now = () => clock.now;
  try {
    const tokens = new TokenStore(database, now), files = new FileStore(database, folder, now);
    await files.open();
    const deps: AppDeps = {
      tokens,
      files,
      checkData,
      settings: { ...DEFAULT_SETTINGS, anonymous: true, ...settings },
      notReady: () => null,
      log: (entry) => log.push(entry),
      now,
    };
    const bearer = (...scopes: Scope[]) => ({
      authorization: `Bearer ${tokens.create("test", scopes).token}`,
    });
    await work({ app: createApp(deps), deps, database, folder, log, clock, bearer });
  } finally {
    database.close();
    await Deno.remove(folder, { recursive: true });
  }
}

/** A form as OpenAI's clients send it. */
export function uploadForm(content: BlobPart, filename = "train.jsonl", purpose = "fine-tune"): FormData {
  const form = new FormData();
  form.append("file", new Blob([content], { type: "application/octet-stream" }), filename);
  form.append("purpose", purpose);
  return form;
}

/** Three rows to train on. */
export const ROWS = ["a lamp", "a bell", "a gull"].map((text) => `${JSON.stringify({ text })}\n`).join("");
