/**
 * Links to settings: `#/train?lora_r=8` opens the form with them.
 *
 * @module
 */
import type { Wire } from "../protocol/job.ts";
import { linkedSettings, settingsQuery } from "./given_settings.ts";
import type { PageSession } from "./session.ts";

/** Address of the page with these settings. @param own Those that the page has by itself. */
export function settingsLink(values: Wire, own: Wire): string {
  const query = settingsQuery(values, own);
  return `${location.href.replace(/[#].*$/, "")}#/train${query && `?${query}`}`;
}

/** Takes settings out of the address, now and whenever it names some. They are no part of it from then on. */
export function takeLinkedSettings(session: PageSession): void {
  const take = () => {
    const [, query] = /^#\/train\?(.*)$/.exec(location.hash) ?? [];
    if (query === undefined) return;
    history.replaceState(null, "", "#/train");
    session.takeSettings(linkedSettings(query, session.job));
  };
  addEventListener("hashchange", take);
  take();
}
