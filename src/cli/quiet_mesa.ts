/**
 * Mesa prints an error line when XDG_RUNTIME_DIR is unset, although computing needs no such folder.
 *
 * @module
 */

/** Names a folder for the variable where it is unset. Call before the first adapter is asked for. */
export function quietMesa(): void {
  if (!Deno.env.get("XDG_RUNTIME_DIR")) Deno.env.set("XDG_RUNTIME_DIR", Deno.env.get("TMPDIR") ?? "/tmp");
}
