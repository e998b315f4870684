/**
 * Licences of the npm packages in the lock file: fails on one that is not known to be permissive, and writes the notices
 * of those that the library and the command run with.
 *
 *     deno task licenses            checks, and writes THIRD_PARTY_NOTICES.md
 *     deno task licenses --check    checks, and fails if the notices are not up to date
 *
 * @module
 */
import config from "../deno.json" with { type: "json" };
import onnx from "../web/onnx/package.json" with { type: "json" };

/** SPDX names of licences that ask for no more than to be named. */
const PERMISSIVE = new Set([
  "0BSD",
  "Apache-2.0",
  "BlueOak-1.0.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "CC0-1.0",
  "ISC",
  "MIT",
  "MIT-0",
  "PSF-2.0",
  "Python-2.0",
  "Unlicense",
  "Zlib",
]);

/** Packages that only tests, types and benchmarks need: checked, but not handed on. */
export const DEVELOPMENT: ReadonlySet<string> = new Set([
  "@firestore-emulator/server",
  "@types/node",
  "@webgpu/types",
  "kubernetes-models",
  "openai",
  "axe-core",
  "playwright-core",
  "webgpu",
]);

/** Of those, the ones whose licence asks for more of who changes or hands them on, which is not done. */
const USED_AS_THEY_COME: ReadonlyMap<string, string> = new Map([["axe-core", "MPL-2.0"]]);

const NOTICES_FILE = "THIRD_PARTY_NOTICES.md";
const LICENCE_FILE = /^(licen[cs]e|notice|copying)/i;

/** A locked package. */
export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  /** Names of packages, as in the lock file: with a version where there are several. */
  readonly dependencies: readonly string[];
}

/** What a package says of its licence. */
export interface LicenceNote extends LockedPackage {
  /** SPDX expression, or what package.json has instead. */
  readonly licence: string;
  /** Texts of its licence files. */
  readonly texts: readonly string[];
}

/** Packages of a lock file, by key: `name@version`, and `_peers` after it. */
export function lockedPackages(
  entries: Readonly<Record<string, { dependencies?: readonly string[] }>>,
): Map<string, LockedPackage> {
  return new Map(
    Object.entries(entries).map(([key, { dependencies = [] }]) => {
      const [, name, version] = /^(@?[^@]+)@([^_]+)/.exec(key)!;
      return [key, { name: name!, version: version!, dependencies }];
    }),
  );
}

/** Those of `packages` that the named ones need, themselves included. */
export function reachable(
  packages: ReadonlyMap<string, LockedPackage>,
  names: Iterable<string>,
): LockedPackage[] {
  const found = new Set<LockedPackage>(), waiting = [...names];
  while (waiting.length > 0) {
    const wanted = waiting.pop()!;
    for (const [key, entry] of packages) {
      const isWanted = key === wanted || entry.name === wanted || `${entry.name}@${entry.version}` === wanted;
      if (!isWanted || found.has(entry)) continue;
      found.add(entry);
      waiting.push(...entry.dependencies);
    }
  }
  return [...found].sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
}

/** Whether an SPDX expression lets one choose, or combines, permissive licences only. */
export function isPermissive(expression: string): boolean {
  const plain = expression.replace(/[()]/g, " ").trim();
  const all = (text: string) => text.split(/\s+AND\s+/).every((name) => PERMISSIVE.has(name.trim()));
  return plain.split(/\s+OR\s+/).some(all);
}

/** The notices' text. The same packages give the same text. */
export function notices(notes: readonly LicenceNote[]): string {
  const parts = notes.map(({ name, version, licence, texts }) => {
    const text = texts.length > 0
      ? texts.map((one) => one.replace(/\r\n?/g, "\n").trim()).join("\n\n")
      : `Licence: ${licence}`;
    return `## ${name} ${version}\n\n${licence}\n\n\`\`\`text\n${text}\n\`\`\`\n`;
  });
  return `# Third-party notices\n\nLowrank runs with these packages, each under its own licence.\n\n${
    parts.join("\n")
  }`;
}

/** Reads a package as Deno's cache holds it. */
async function readNote(entry: LockedPackage, cache: string): Promise<LicenceNote> {
  const folder = await packageFolder(cache, entry);
  const { license, licenses } = JSON.parse(await Deno.readTextFile(`${folder}/package.json`));
  const given = license ?? licenses?.map(({ type }: { type: string }) => type).join(" OR ") ?? "none";
  const files: string[] = [];
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (isFile && LICENCE_FILE.test(name)) files.push(name);
  }
  const texts = await Promise.all(files.sort().map((file) => Deno.readTextFile(`${folder}/${file}`)));
  return { ...entry, licence: typeof given === "string" ? given : given.type, texts };
}

/** The cache has a folder for each registry. */
async function packageFolder(cache: string, { name, version }: LockedPackage): Promise<string> {
  for await (const { name: registry } of Deno.readDir(cache)) {
    const folder = `${cache}/${registry}/${name}/${version}`;
    if (await Deno.stat(`${folder}/package.json`).then(() => true, () => false)) return folder;
  }
  throw new Error(`Cannot read the licence of ${name} ${version}: run "deno install" to fetch it`);
}

async function cacheFolder(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).npmCache;
}

/** A lock file's packages, fetched, and those of them that are handed on. */
interface Locked {
  readonly packages: ReadonlyMap<string, LockedPackage>;
  readonly shipped: readonly LockedPackage[];
}

/** @param folder Of the lock file, below the root. @param direct Packages that are handed on with all that they need. */
async function lockedIn(folder: string, direct: Iterable<string>): Promise<Locked> {
  const cwd = decodeURIComponent(new URL(`../${folder}`, import.meta.url).pathname);
  await new Deno.Command(Deno.execPath(), { args: ["install", "--frozen"], cwd }).output(); // fetches what no run has used yet
  const packages = lockedPackages(JSON.parse(await Deno.readTextFile(`${cwd}deno.lock`)).npm);
  return { packages, shipped: reachable(packages, direct) };
}

if (import.meta.main) {
  const direct = Object.values(config.imports).filter((target) => target.startsWith("npm:"))
    .map((target) => target.slice("npm:".length).replace(/(?<=.)@[^@]*$/, ""))
    .filter((name) => !DEVELOPMENT.has(name));
  // the second are bundled into the page for browsers without WebGPU
  const locks = [await lockedIn("", direct), await lockedIn("web/onnx/", Object.keys(onnx.dependencies))];
  const named = ({ name, version }: LockedPackage) => `${name}@${version}`;
  const packages = new Map(
    locks.flatMap(({ packages }) => [...packages.values()].map((entry) => [named(entry), entry])),
  );
  const cache = await cacheFolder();
  const all = await Promise.all([...packages.values()].map((entry) => readNote(entry, cache)));
  const refused = all.filter(({ name, licence }) =>
    !isPermissive(licence) && USED_AS_THEY_COME.get(name) !== licence
  );
  for (const { name, version, licence } of refused) {
    console.error(`${name} ${version} is under ${licence}, which is not known to be permissive`);
  }
  const shipped = new Set(locks.flatMap((lock) => lock.shipped.map(named)));
  const text = notices(
    all.filter((entry) => shipped.has(named(entry)))
      .sort((a, b) => a.name < b.name ? -1 : 1),
  );
  const path = decodeURIComponent(new URL(`../${NOTICES_FILE}`, import.meta.url).pathname);
  const isCurrent = await Deno.readTextFile(path).then((found) => found === text, () => false);
  if (Deno.args.includes("--check")) {
    if (!isCurrent) console.error(`${NOTICES_FILE} is not up to date: run "deno task licenses"`);
  } else await Deno.writeTextFile(path, text);
  console.log(`${all.length} packages, ${shipped.size} of them shipped, ${refused.length} refused`);
  Deno.exit(refused.length > 0 || (Deno.args.includes("--check") && !isCurrent) ? 1 : 0);
}
