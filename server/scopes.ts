/**
 * Who sends a request, and what they may do.
 *
 * @module
 */
import type { Scope } from "../src/scopes.ts";

export { ALL_SCOPES, type Scope, SCOPES } from "../src/scopes.ts";

/** Who sends a request. */
export interface Caller {
  /** Id of the token; null where the server runs without tokens. */
  readonly tokenId: string | null;
  readonly scopes: ReadonlySet<Scope>;
}
