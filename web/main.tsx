/**
 * The page: starts the worker, and shows what it tells.
 *
 * @module
 */
import * as z from "zod/mini";
import { render } from "preact";
import { App } from "./app.tsx";
import { attend } from "./page/attendance.ts";
import { chatOf, PlacedChat } from "./page/chat_engines.ts";
import { Engine } from "./page/engine.ts";
import { keptGpuMemory } from "./page/gpu_memory.ts";
import { followAddress } from "./page/router.ts";
import { ServerJobs } from "./page/server_jobs.ts";
import { PageSession } from "./page/session.ts";
import { takeLinkedSettings } from "./page/settings_link.ts";
import { applyTheme, savedTheme } from "./page/theme.ts";
import type { Wire } from "./protocol/job.ts";
import { plainError } from "./protocol/plain_error.ts";
import { Problem } from "./views/problem.tsx";
import { startWorker } from "./worker_life.ts";

// zod would try to compile its checks, which the page's content policy forbids
z.config({ jitless: true });

/** A file beside the page: its job, in the form that config files have, or where its server is. */
async function readFile(name: string): Promise<Wire> {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`Cannot read ${name}: the server answered ${response.status}`);
  return await response.json();
}

/** From now on the page opens without a network too, where the browser lets it. */
async function keepPage(): Promise<void> {
  const script = new URL("service_worker.js", document.baseURI);
  await navigator.serviceWorker?.register(script).catch(() => {}); // as in private windows
}

function engineOf(script: string, server: () => ServerJobs | null = () => null): Engine {
  return new Engine(() => startWorker(new URL(script, document.baseURI)), () => server()?.access ?? null);
}

/** @param api Address of the server's API; null where a plain file server has the page. */
function serverAt(api: unknown): ServerJobs | null {
  return typeof api === "string" ? new ServerJobs(new URL(api, document.baseURI).href) : null;
}

const root = document.getElementById("app")!;
applyTheme(savedTheme());
followAddress();
try {
  let server: ServerJobs | null = null;
  const engine = engineOf("worker.js", () => server); // loads while the rest is asked
  const gate = engine.ask("gate", null);
  const [job, { api }] = await Promise.all([readFile("defaults.json"), readFile("server.json")]);
  server = serverAt(api);
  const here = chatOf(engine, gate, () => engineOf("onnx/writer.js"));
  const chat = new PlacedChat(here, async () => {
    if (!server) throw new Error("This page came from no server that trains: lowrank serve has one.");
    const { ServerChat } = await import("./page/server_chat.ts");
    return new ServerChat(engine, () => server.access);
  });
  const session = new PageSession({ ...job, ...keptGpuMemory() }, gate, engine, chat, server);
  addEventListener("beforeunload", (event) => {
    if (session.busy.value || session.moving.value) event.preventDefault();
  });
  for (const type of ["dragover", "drop"] as const) {
    addEventListener(type, (event) => {
      // or the browser would leave the page for a file that missed its place
      if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
    });
  }
  attend(session);
  takeLinkedSettings(session);
  root.replaceChildren();
  render(<App session={session} />, root);
  await session.open();
  await session.inputs.planned(); // what is fetched to be kept would hold it up
  await keepPage();
} catch (error) {
  render(<Problem title="The page cannot start" problem={plainError(error)} />, root);
}
