/**
 * Where the page that the server serves is.
 *
 * @module
 */

/** Where an image has the page that was built with it: there it can neither be built nor written. */
const BUILT_FOLDER = "page";

/**
 * Gives the folder of the page: what the program was handed on with, or else one in the data folder, built when it is asked for
 * the first time, so that it is of the build that serves it.
 *
 * @param root Folder of the program, absolute, with `/` at its end.
 * @param dataFolder Absolute.
 * @param deno The program that builds.
 */
export function pageFolder(root: string, dataFolder: string, deno: string): () => Promise<string> {
  let found: Promise<string> | null = null;
  return () =>
    found ??= builtOr(root, `${dataFolder}/page`, deno).catch((error) => {
      found = null; // the next visit tries again
      throw error;
    });
}

async function builtOr(root: string, out: string, deno: string): Promise<string> {
  const built = `${root}${BUILT_FOLDER}`;
  const isThere = await Deno.stat(`${built}/index.html`).then(({ isFile }) => isFile, () => false);
  return isThere ? built : await build(root, out, deno);
}

/** @throws {Error} With the words of the build. */
async function build(root: string, out: string, deno: string): Promise<string> {
  const rights = ["--no-prompt", "--allow-read", `--allow-write=${out}`, "--allow-run"];
  const args = ["run", "--quiet", "--config", `${root}deno.json`, ...rights, `${root}web/build.ts`, out];
  const { success, stderr } = await new Deno.Command(deno, { args, stdout: "null" }).output();
  if (success) return out;
  throw new Error(`Cannot build the page into "${out}":\n${new TextDecoder().decode(stderr)}`);
}
