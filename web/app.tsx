/**
 * The frame of every view: name, navigation, what waits to go on, and the view itself.
 *
 * @module
 */
import { useEffect } from "preact/hooks";
import { route, type View } from "./page/router.ts";
import type { PageSession } from "./page/session.ts";
import { VIEW_TITLES } from "./page/tab_title.ts";
import { applyTheme, otherTheme } from "./page/theme.ts";
import { ChatView } from "./views/chat_view.tsx";
import { DeviceView } from "./views/device_view.tsx";
import { GateNotice } from "./views/gate_notice.tsx";
import { HistoryView } from "./views/history_view.tsx";
import { LazyServerView } from "./views/lazy_server_view.tsx";
import { Problem } from "./views/problem.tsx";
import { RunView } from "./views/run_view.tsx";
import { TrainView } from "./views/train_view.tsx";
import { WaitingRun } from "./views/waiting_run.tsx";

/** What a view needs. */
export interface ViewProps {
  readonly session: PageSession;
}

function Navigation({ session }: ViewProps) {
  const { view } = route.value, runs = session.runs.value.length;
  const shown = session.running.value ?? session.run.value ?? session.runs.value[0] ?? null;
  const links: [View, string][] = [
    ["train", "train"],
    ...(shown ? [["run", `run/${encodeURIComponent(shown.name)}`] as [View, string]] : []),
    ["chat", "chat"],
    ["history", "history"],
    ...(session.server ? [["server", "server"] as [View, string]] : []),
    ["device", "device"],
  ];
  return (
    <nav aria-label="Views">
      {links.map(([name, path]) => (
        <a key={name} href={`#/${path}`} aria-current={view === name ? "page" : undefined}>
          {VIEW_TITLES[name]}
          {name === "history" && runs > 0 && <span class="badge">{runs}</span>}
          {name === "run" && session.busy.value && <span class="pulse" aria-label="a run is going on" />}
        </a>
      ))}
    </nav>
  );
}

function Header({ session }: ViewProps) {
  const { gate } = session;
  return (
    <header>
      <a class="name" href="#/train">
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <path d="M2 2v12h12" />
          <path d="M4.500 4c1 5 4 7 9 7.500" />
        </svg>
        Lowrank
      </a>
      <a class={gate.open ? "adapter" : "adapter shut"} href="#/device">
        {gate.open ? gate.adapter || "looking for a GPU" : "no WebGPU"}
        {gate.open && gate.software && " · software"}
      </a>
      <Navigation session={session} />
      <button
        type="button"
        class="plain"
        aria-label="Switch between light and dark"
        onClick={() => applyTheme(otherTheme())}
      >
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <circle cx="8" cy="8" r="5.500" />
          <path class="half" d="M8 2.500a5.500 5.500 0 0 1 0 11z" />
        </svg>
      </button>
    </header>
  );
}

function CurrentView({ session }: ViewProps) {
  switch (route.value.view) {
    case "train":
      return <TrainView session={session} />;
    case "run":
      return <RunView session={session} />;
    case "chat":
      return <ChatView session={session} />;
    case "history":
      return <HistoryView session={session} />;
    case "server":
      return <LazyServerView session={session} />;
    case "device":
      return <DeviceView session={session} />;
  }
}

export function App({ session }: ViewProps) {
  const { view, rest } = route.value, ready = session.ready.value;
  useEffect(() => {
    session.problem.value = null; // of what was done in another view
  }, [view, rest]);
  useEffect(() => {
    if (view === "run" && rest !== null && ready) void session.show(rest);
  }, [view, rest, ready]);
  const problem = session.problem.value;
  return (
    <>
      <a class="skip" href="#main" onClick={focusMain}>Skip to the content</a>
      <Header session={session} />
      <main id="main" tabIndex={-1}>
        {(view === "train" || (!session.gate.open && view !== "server")) && (
          <GateNotice
            gate={session.gate}
            hasServer={session.server !== null}
          />
        )}
        {problem && <Problem title="That did not work" problem={problem} />}
        <WaitingRun session={session} />
        <CurrentView session={session} />
      </main>
      <footer>
        {session.server
          ? "Runs of this tab stay on this device; the server behind this page is told how they go."
          : "Everything happens in this tab, on this device. Nothing is sent anywhere."}
      </footer>
    </>
  );
}

/** The address belongs to the views, so that the link must not change it. */
function focusMain(event: Event): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}
