/**
 * Python packages that tests and tasks run, each in an environment of its own. They are installed once, into the user's
 * cache.
 *
 *     deno task emulators
 *
 * @module
 */
import { cachePath } from "../../src/cli/cache_folder.ts";

/** Versions are those that the tests were written with. */
export const PYTHON_PACKAGES = {
  "google-api-python-client": "2.202.0",
  "kubernetes-validate": "1.37.0",
  openai: "3.57.0",
  schemathesis: "4.32.5",
} as const;

/** Packages of which only files are read: what they depend on is left out. */
const READ_ONLY: ReadonlySet<string> = new Set(["google-api-python-client"]);

/** One of {@link PYTHON_PACKAGES}. */
export type PythonPackage = keyof typeof PYTHON_PACKAGES;

function folderOf(name: PythonPackage): string {
  const cache = cachePath(Deno.env.toObject(), Deno.build.os) ?? ".cache";
  return `${cache}/python/${name}-${PYTHON_PACKAGES[name]}`;
}

/** Written last: an installation that was broken off is not taken for one. */
const DONE_FILE = "installed";

/** The folder of programs of a package's environment; null if it is not installed. */
export function pythonPrograms(name: PythonPackage): string | null {
  const folder = folderOf(name);
  try {
    return Deno.statSync(`${folder}/${DONE_FILE}`).isFile ? `${folder}/bin` : null;
  } catch {
    return null;
  }
}

/** Why tests with a package cannot run here; null if they can. */
export function withoutPython(name: PythonPackage): string | null {
  return pythonPrograms(name) ? null : `${name} for Python is not installed: deno task emulators`;
}

/** Installs a package unless it is there. @returns What was done, in words. */
export async function installPython(name: PythonPackage): Promise<string> {
  if (pythonPrograms(name)) return "is installed";
  const folder = folderOf(name), wanted = `${name}==${PYTHON_PACKAGES[name]}`;
  const steps = [
    ["python3", "-m", "venv", "--clear", folder],
    [`${folder}/bin/pip`, "install", "--quiet", "--disable-pip-version-check", "--retries", "1"]
      .concat(READ_ONLY.has(name) ? ["--no-deps"] : [], wanted),
  ];
  for (const [command, ...args] of steps) {
    try {
      const options = { args, stdin: "null", stdout: "null", stderr: "piped" } as const;
      const { success, stderr } = await new Deno.Command(command!, options).output();
      if (!success) {
        return `could not be installed: ${new TextDecoder().decode(stderr).trim().split("\n").at(-1)}`;
      }
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return `could not be installed: there is no ${command}`;
      throw error;
    }
  }
  await Deno.writeTextFile(`${folder}/${DONE_FILE}`, `${wanted}\n`);
  return "was installed";
}
