/**
 * Builds the Dockerfile's image as a folder, without a container engine: each instruction in order.
 *
 * @module
 */
import { assignments, copyOf, parseDockerfile, type Stage } from "./dockerfile.ts";
import { run } from "./sandbox.ts";

/** A built image. */
export interface Image {
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
  /** As USER says. */
  readonly user: string;
  readonly workdir: string;
  readonly entrypoint: readonly string[];
  readonly healthcheck: readonly string[];
}

/** What is built: every stage, the last one alone, which takes from the others what they had, or nothing. */
export type BuildFrom = "anew" | "go-on" | "built";

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Runs a program of this machine. @throws {Error} If it fails. */
export async function command(name: string, ...args: readonly string[]): Promise<void> {
  const { success, code } = await new Deno.Command(name, { args: [...args] }).spawn().status;
  if (!success) throw new Error(`${name} ended with code ${code}`);
}

/** What a program of this machine says. @throws {Error} If it fails. */
export async function output(name: string, ...args: readonly string[]): Promise<string> {
  const { success, code, stdout } = await new Deno.Command(name, { args: [...args] }).output();
  if (!success) throw new Error(`${name} ended with code ${code}`);
  return new TextDecoder().decode(stdout);
}

/** Debian's base system in a folder, without manuals and translations, as the slim images have it. Made once. */
export async function makeBase(folder: string): Promise<void> {
  if (await Deno.stat(`${folder}/ready`).catch(() => null)) return;
  await command("debootstrap", "--variant=minbase", "trixie", folder);
  const slim = ["doc", "info", "locale", "man"];
  await Deno.writeTextFile(
    `${folder}/etc/dpkg/dpkg.cfg.d/slim`,
    `force-unsafe-io\n${slim.map((name) => `path-exclude /usr/share/${name}/*\n`).join("")}`,
  );
  await command(
    "rm",
    "-rf",
    ...slim.map((name) => `${folder}/usr/share/${name}`),
    `${folder}/var/cache/apt`,
    `${folder}/var/lib/apt/lists`,
  );
  await command("mkdir", "-p", `${folder}/var/cache/apt`, `${folder}/var/lib/apt/lists/partial`);
  await Deno.writeTextFile(`${folder}/ready`, "");
}

/**
 * Builds every stage below `folder` and returns the last.
 */
export async function buildImage(context: string, folder: string, from: BuildFrom): Promise<Image> {
  const stages = parseDockerfile(await Deno.readTextFile(`${context}/Dockerfile`));
  await makeBase(`${folder}/base`);
  await command("mkdir", "-p", `${folder}/apt`);
  const roots = new Map<string, string>();
  let image: Image | undefined;
  for (const [i, stage] of stages.entries()) {
    const root = `${folder}/stage${i}`, isLast = i === stages.length - 1;
    const isKept = from === "built" || (from === "go-on" && !isLast);
    if (!isKept) {
      await command("rm", "-rf", root);
      await command("cp", "-a", `${folder}/base`, root);
    }
    image = await buildStage(stage, root, context, roots, `${folder}/apt`, isKept);
    roots.set(stage.name ?? String(i), root);
  }
  return image!;
}

async function buildStage(
  { base, instructions }: Stage,
  root: string,
  context: string,
  stages: ReadonlyMap<string, string>,
  apt: string,
  isKept: boolean,
): Promise<Image> {
  if (base !== "debian:trixie-slim") throw new Error(`Only debian:trixie-slim can be made here, not ${base}`);
  const env: Record<string, string> = { PATH }, build: Record<string, string> = {};
  let user = "0:0", workdir = "/", entrypoint: string[] = [], healthcheck: string[] = [];
  for (const { name, text } of instructions) {
    if (isKept && ["RUN", "COPY"].includes(name)) continue;
    console.log(`${name} ${text.length > 90 ? `${text.slice(0, 90)} ...` : text}`);
    if (name === "RUN") {
      const variables = { HOME: "/root", DEBIAN_FRONTEND: "noninteractive", ...build, ...env };
      const mounts = { "/var/cache/apt": apt };
      const { code, text: told, seconds } = await run(["sh", "-c", text], {
        root,
        env: variables,
        user,
        cwd: workdir,
        network: true,
        mounts,
      }, 3000);
      if (code !== 0) throw new Error(`RUN ended with code ${code}:\n${told.slice(-3000)}`);
      console.log(`  ${seconds.toFixed(0)} s`);
    } else if (name === "COPY") await copy(text, root, context, stages);
    else if (name === "ENV") Object.assign(env, Object.fromEntries(assignments(text)));
    else if (name === "ARG") Object.assign(build, Object.fromEntries(assignments(text)));
    else if (name === "USER") user = await groupOf(text, root);
    else if (name === "WORKDIR") workdir = text;
    else if (name === "ENTRYPOINT") entrypoint = JSON.parse(text);
    else if (name === "HEALTHCHECK") healthcheck = JSON.parse(text.slice(text.indexOf("[")));
    else if (name !== "CMD") throw new Error(`Do not know the instruction ${name}`);
  }
  return { root, env: { ...env, HOME: "/home/lowrank" }, user, workdir, entrypoint, healthcheck };
}

async function copy(
  text: string,
  root: string,
  context: string,
  stages: ReadonlyMap<string, string>,
): Promise<void> {
  const { from, sources, target } = copyOf(text);
  const origin = from === null ? context : stages.get(from);
  if (origin === undefined) throw new Error(`COPY --from=${from}: there is no such stage`);
  const to = `${root}${target}`;
  await command("mkdir", "-p", target.endsWith("/") ? to : to.replace(/\/[^/]*$/, ""));
  for (const source of sources) {
    const path = `${origin}/${source}`.replace(/\/\/+/g, "/");
    // The contents of a folder are copied, not the folder.
    const isFolder = (await Deno.stat(path)).isDirectory;
    if (isFolder) await command("rm", "-rf", to);
    await command("cp", "-r", "--no-preserve=ownership", path, to);
  }
}

/** `uid:gid` of a user number, whose group is in the image's list of users. */
async function groupOf(uid: string, root: string): Promise<string> {
  const users = await Deno.readTextFile(`${root}/etc/passwd`);
  const line = users.split("\n").map((one) => one.split(":")).find(([, , id]) => id === uid);
  if (!line) throw new Error(`USER ${uid}: the image has no such user`);
  return `${uid}:${line[3]}`;
}
