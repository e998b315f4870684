/**
 * The server's view, loaded when it is shown for the first time.
 *
 * @module
 */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { PageSession } from "../page/session.ts";
import type { ServerView } from "./server_view.tsx";

const loaded = signal<typeof ServerView | null>(null);

export function LazyServerView({ session }: { session: PageSession }) {
  useEffect(() => {
    void import("./server_view.tsx").then(({ ServerView }) => loaded.value = ServerView);
  }, []);
  const View = loaded.value;
  if (!session.server) {
    return <p class="notice">This page came from no server that trains: lowrank serve has one.</p>;
  }
  return View && <View session={session} server={session.server} />;
}
