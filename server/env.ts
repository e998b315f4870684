/**
 * What requests carry through the app.
 *
 * @module
 */
import type { Caller } from "./scopes.ts";

/** Types of Hono's context. */
export interface ServerEnv {
  Variables: {
    /** Told in `x-request-id` and in the log. */
    requestId: string;
    /** Null where the request bears no token and the server has some. */
    caller: Caller | null;
  };
  Bindings: {
    /** Address of the other end; absent in tests. */
    readonly remoteAddress?: string;
  };
}
