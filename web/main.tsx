/**
 * The page: asks whether this browser can train, starts the worker, and shows what it tells.
 *
 * @module
 */
import * as z from "zod/mini";
import { render } from "preact";
import { App } from "./app.tsx";
import { attend } from "./attendance.ts";
import { gpuChat, OnnxChat, PlacedChat } from "./chat_engines.ts";
import { Engine } from "./engine.ts";
import { webGpuGate } from "./gate.ts";
import { keptGpuMemory } from "./gpu_memory.ts";
import { plainError, type Wire } from "./protocol.ts";
import { followAddress } from "./router.ts";
import { ServerJobs } from "./server_jobs.ts";
import { PageSession } from "./session.ts";
import { takeLinkedSettings } from "./settings_link.ts";
import { applyTheme, savedTheme } from "./theme.ts";
import { startWorker } from "./worker_life.ts";
import { Problem } from "./views/problem.tsx";

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

function engineOf(script: string, server: ServerJobs | null = null): Engine {
  return new Engine(() => startWorker(new URL(script, document.baseURI)), () => server?.access ?? null);
}

/** @param api Address of the server's API; null where a plain file server has the page. */
function serverAt(api: unknown): ServerJobs | null {
  return typeof api === "string" ? new ServerJobs(new URL(api, document.baseURI).href) : null;
}

const root = document.getElementById("app")!;
applyTheme(savedTheme());
followAddress();
try {
  const [job, gate, { api }] = await Promise.all([
    readFile("defaults.json"),
    webGpuGate(globalThis),
    readFile("server.json"),
  ]);
  const server = serverAt(api), engine = engineOf("worker.js", server);
  const here = gate.open ? gpuChat(engine) : new OnnxChat(engine, () => engineOf("onnx/writer.js"));
  const chat = new PlacedChat(here, async () => {
    if (!server) throw new Error("This page came from no server that trains: lowrank serve has one.");
    const { ServerChat } = await import("./server_chat.ts");
    return new ServerChat(engine, () => server.access);
  });
  const session = new PageSession({ ...job, ...keptGpuMemory() }, gate, engine, chat, server);
  addEventListener("beforeunload", (event) => {
    if (session.busy.value) event.preventDefault();
  });
  attend(session);
  takeLinkedSettings(session);
  root.replaceChildren();
  render(<App session={session} />, root);
  await session.open();
  await keepPage();
} catch (error) {
  render(<Problem title="The page cannot start" problem={plainError(error)} />, root);
}
