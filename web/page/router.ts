/**
 * Which view the address names: `#/train`, `#/run/NAME`, `#/chat/run/NAME`, `#/history`, `#/server`, `#/server/ID`,
 * `#/device`. What stands after a `?` is no view's.
 *
 * @module
 */
import { signal } from "@preact/signals";
import type { ChatSubject } from "../protocol/chat.ts";

/** Views by the first part of the address. */
export const VIEWS = ["train", "run", "chat", "history", "server", "device"] as const;
/** One of {@link VIEWS}. */
export type View = (typeof VIEWS)[number];

/** A view, and what it shows. */
export interface Route {
  readonly view: View;
  /** Rest of the address, such as a run's name. */
  readonly rest: string | null;
}

/** Reads an address's hash; what names no view is the first one. */
export function readRoute(hash: string): Route {
  const [name = "", ...rest] = hash.replace(/^#\/?/, "").replace(/\?.*$/, "").split("/");
  const view = VIEWS.find((one) => one === name) ?? VIEWS[0];
  return { view, rest: view === name && rest.length > 0 ? decoded(rest.join("/")) : null };
}

/** A part of an address; one whose escapes are broken stays as it is. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The view shown. */
export const route = signal<Route>({ view: VIEWS[0], rest: null });

/** Follows the address from now on. */
export function followAddress(): void {
  const follow = () => {
    route.value = readRoute(location.hash);
  };
  addEventListener("hashchange", follow);
  follow();
}

/** Goes to a view. */
export function routeTo(path: string): void {
  location.hash = `#/${path}`;
}

/** Address of a chat: `chat/run/NAME`, `chat/run/NAME/STEP` of a checkpoint, `chat/base/PATH`, `chat/server/MODEL`. */
export function chatPath(subject: ChatSubject): string {
  if (subject.kind === "server") return `chat/server/${encodeURIComponent(subject.model)}`;
  if (subject.kind === "base") return `chat/base/${encodeURIComponent(subject.baseModel)}`;
  const { run, checkpoint } = subject;
  return `chat/run/${encodeURIComponent(run)}${checkpoint === null ? "" : `/${checkpoint}`}`;
}

/** What a chat's address names by its rest; null for nothing. */
export function readChatSubject(rest: string | null): ChatSubject | null {
  const [kind, ...names] = (rest ?? "").split("/");
  if (kind === "server" && names.length > 0) return { kind, model: names.join("/") };
  if (kind === "base" && names.length > 0) return { kind, baseModel: names.join("/") };
  const [run = "", step] = names;
  if (kind !== "run" || run === "") return null;
  return { kind, run, checkpoint: step === undefined ? null : Number(step) };
}
