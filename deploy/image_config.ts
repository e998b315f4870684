/**
 * Leaves the packages that only tests and types need out of a copy of deno.json and deno.lock: Deno fetches all that
 * these name, and an image shall not carry it.
 *
 *     deno run --no-config --allow-read --allow-write deploy/image_config.ts FOLDER
 *
 * The others stay locked to the versions and hashes that they are locked to.
 *
 * @module
 */
import { DEVELOPMENT, lockedPackages, reachable } from "./licenses.ts";

/** The part of deno.json that names packages. */
export interface PackageConfig {
  readonly imports: Readonly<Record<string, string>>;
}

/** The parts of deno.lock that do. */
export interface PackageLock {
  readonly specifiers: Readonly<Record<string, string>>;
  readonly npm: Readonly<Record<string, { readonly dependencies?: readonly string[] }>>;
  readonly workspace: { readonly dependencies: readonly string[] };
}

/** Both without the packages of development and what these alone depend on. */
export function withoutDevelopment<C extends PackageConfig, L extends PackageLock>(
  config: C,
  lock: L,
): { readonly config: C; readonly lock: L } {
  const imports = Object.fromEntries(
    Object.entries(config.imports).filter(([name]) => !DEVELOPMENT.has(name)),
  );
  const wanted = new Set(Object.values(imports).filter((target) => target.startsWith("npm:")));
  const packages = lockedPackages(lock.npm as Record<string, { dependencies?: readonly string[] }>);
  const needed = new Set(reachable(packages, [...wanted].map((specifier) => specifier.slice("npm:".length))));
  return {
    config: { ...config, imports },
    lock: {
      ...lock,
      specifiers: Object.fromEntries(Object.entries(lock.specifiers).filter(([name]) => wanted.has(name))),
      npm: Object.fromEntries(Object.entries(lock.npm).filter(([key]) => needed.has(packages.get(key)!))),
      workspace: {
        ...lock.workspace,
        dependencies: lock.workspace.dependencies.filter((name) => wanted.has(name)),
      },
    },
  };
}

if (import.meta.main) {
  const [folder = "."] = Deno.args;
  const read = async (name: string) => JSON.parse(await Deno.readTextFile(`${folder}/${name}`));
  const { config, lock } = withoutDevelopment(await read("deno.json"), await read("deno.lock"));
  for (const [name, value] of [["deno.json", config], ["deno.lock", lock]] as const) {
    await Deno.writeTextFile(`${folder}/${name}`, `${JSON.stringify(value, null, 2)}\n`);
  }
}
