/**
 * Who sends a request, and what they may do.
 *
 * @module
 */
import { grantedPlace, type Scope, SCOPES } from "../src/scopes.ts";

export { ALL_SCOPES, type GrantedScope, isGrantedScope, type Scope, SCOPES } from "../src/scopes.ts";

/** Who sends a request. */
export interface Caller {
  /** Id of the token; null where the server runs without tokens. */
  readonly tokenId: string | null;
  readonly scopes: ReadonlySet<Scope>;
  /** Where storage scopes hold, as paths of the proxy; those that are not in it hold everywhere. */
  readonly limits: ReadonlyMap<Scope, readonly string[]>;
}

/** What scopes of a token allow. One that stands there without a place holds everywhere; unknown ones allow nothing. */
export function grantedRights(granted: readonly string[]): Pick<Caller, "scopes" | "limits"> {
  const scopes = new Set<Scope>(), limits = new Map<Scope, string[]>();
  const everywhere = granted.filter((text): text is Scope => Object.hasOwn(SCOPES, text));
  for (const text of granted) {
    const placed = grantedPlace(text);
    if (placed) limits.set(placed.scope, [...limits.get(placed.scope) ?? [], placed.place]);
  }
  for (const scope of [...limits.keys(), ...everywhere]) scopes.add(scope);
  for (const scope of everywhere) limits.delete(scope);
  return { scopes, limits };
}
