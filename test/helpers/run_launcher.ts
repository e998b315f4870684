/**
 * The launcher as a user calls it, from its start to its end.
 *
 * @module
 */
/** Its path. */
export const LAUNCHER = decodeURIComponent(new URL("../../lowrank", import.meta.url).pathname);

/** How a command ended, and what it wrote. */
export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** @param env Added to the environment of this process. @param cwd Default the current folder. */
export async function runLauncher(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd?: string,
): Promise<Ended> {
  return ended(
    await new Deno.Command("/bin/sh", {
      args: [LAUNCHER, ...args],
      env: { NO_COLOR: "1", ...env },
      ...(cwd === undefined ? {} : { cwd }),
    }).output(),
  );
}

/** The same in text. */
export function ended({ code, stdout, stderr }: Deno.CommandOutput): Ended {
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}
