/**
 * The page: asks whether this browser can train, starts the worker, and shows what it tells.
 *
 * @module
 */
import * as z from "zod/mini";
import { render } from "preact";
import { App } from "./app.tsx";
import { gpuChat, OnnxChat } from "./chat_engines.ts";
import { Engine } from "./engine.ts";
import { webGpuGate } from "./gate.ts";
import { plainError, type Wire } from "./protocol.ts";
import { followAddress } from "./router.ts";
import { PageSession } from "./session.ts";
import { applyTheme, savedTheme } from "./theme.ts";
import { Problem } from "./views/problem.tsx";

// zod would try to compile its checks, which the page's content policy forbids
z.config({ jitless: true });

/** The job of this page, in the form that config files have. */
async function readJob(): Promise<Wire> {
  const response = await fetch("defaults.json");
  if (!response.ok) throw new Error(`Cannot read defaults.json: the server answered ${response.status}`);
  return await response.json();
}

/** From now on the page opens without a network too, where the browser lets it. */
async function keepPage(): Promise<void> {
  const script = new URL("service_worker.js", document.baseURI);
  await navigator.serviceWorker?.register(script).catch(() => {}); // as in private windows
}

function startWorker(script: string): Engine {
  return new Engine(new Worker(new URL(script, document.baseURI), { type: "module" }));
}

const root = document.getElementById("app")!;
applyTheme(savedTheme());
followAddress();
try {
  const [job, gate] = await Promise.all([readJob(), webGpuGate(globalThis)]);
  const engine = startWorker("worker.js");
  const chat = gate.open ? gpuChat(engine) : new OnnxChat(engine, () => startWorker("onnx/writer.js"));
  const session = new PageSession(job, gate, engine, chat);
  addEventListener("beforeunload", (event) => {
    if (session.busy.value) event.preventDefault();
  });
  root.replaceChildren();
  render(<App session={session} />, root);
  await session.open();
  await keepPage();
} catch (error) {
  render(<Problem title="The page cannot start" problem={plainError(error)} />, root);
}
