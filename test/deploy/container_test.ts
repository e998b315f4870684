import assert from "node:assert/strict";
import type { V1Job } from "@kubernetes/client-node";
import { load } from "js-yaml";
import { parseFlags, TRAIN_FLAGS } from "../../src/cli/flags.ts";
import { EXIT_CODES } from "../../src/cli/exit_codes.ts";
import { resolveConfig } from "../../src/cli/sources.ts";
import { VERSION } from "../../src/version.ts";
import { withoutDevelopment } from "../../deploy/image_config.ts";
import { copyOf, parseDockerfile, type Stage } from "./dockerfile.ts";

const ROOT = new URL("../../", import.meta.url);
const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));

interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
}

/** Says whether `train` takes a container's arguments and variables. */
function checkContainer({ image, args, env }: Container): void {
  assert.ok(image.endsWith(`:${VERSION}`), image);
  assert.equal(args[0], "train");
  const { values, issues, positionals } = parseFlags(args.slice(1), TRAIN_FLAGS);
  assert.deepEqual([issues, positionals], [[], []]);
  const variables = Object.fromEntries(env.map(({ name, value }) => [name, value]));
  const { config } = resolveConfig({ flags: Object.fromEntries(values), env: variables });
  assert.equal(config.job.requireGpu, true);
  assert.equal(config.job.resume, "auto");
}

Deno.test("the Kubernetes Job runs a command that train takes, and tries again what may come out otherwise", async () => {
  const job = load(await read("deploy/kubernetes/train-job.yaml")) as V1Job;
  const { containers, terminationGracePeriodSeconds } = job.spec!.template.spec!;
  checkContainer(containers[0] as Container);
  assert.ok(terminationGracePeriodSeconds! > 30);
  const final = job.spec!.podFailurePolicy!.rules[0]!.onExitCodes!.values;
  const known = EXIT_CODES.map(({ code }) => code) as number[];
  assert.ok(final.every((code: number) => known.includes(code)));
});

Deno.test("the Cloud Run job runs a command that train takes", async () => {
  const job = load(await read("deploy/cloud-run/train-job.yaml")) as { spec: { template: V1Job } };
  checkContainer(job.spec.template.spec!.template.spec!.containers[0] as Container);
});

Deno.test("the image has the launcher's Deno and every path that it copies", async () => {
  const dockerfile = await read("Dockerfile"), launcher = await read("lowrank");
  const [, inImage] = /^ARG DENO_VERSION=(.*)$/m.exec(dockerfile)!;
  const [, inLauncher] = /^DENO_VERSION=(.*)$/m.exec(launcher)!;
  assert.equal(inImage, inLauncher);
  const ignored = await read(".dockerignore");
  const copied = parseDockerfile(dockerfile).flatMap(({ instructions }) =>
    instructions.filter(({ name }) => name === "COPY").map(({ text }) => copyOf(text)).filter(({ from }) =>
      from === null
    ).flatMap(({ sources }) => sources)
  );
  assert.ok(copied.length > 5);
  for (const path of copied) {
    await Deno.stat(new URL(path, ROOT));
    const isAllowed = ignored.split("\n").some((line) =>
      path === line.slice(1) || path.startsWith(`${line.slice(1)}/`)
    );
    assert.ok(isAllowed, `.dockerignore leaves out ${path}`);
  }
});

Deno.test("the image's build has every module that it runs", async () => {
  const [{ instructions }] = parseDockerfile(await read("Dockerfile")) as [Stage];
  const copied: string[] = [];
  let runs = 0;
  for (const { name, text } of instructions) {
    if (name === "COPY") copied.push(...copyOf(text).sources);
    const script = name === "RUN" ? / \/build\/(\S+\.ts)/.exec(text)?.[1] : undefined;
    if (!script) continue;
    runs++;
    const args = ["info", "--json", new URL(script, ROOT).pathname];
    const { stdout } = await new Deno.Command(Deno.execPath(), { args }).output();
    const { modules } = JSON.parse(new TextDecoder().decode(stdout));
    for (const { specifier } of modules as { specifier: string }[]) {
      if (!specifier.startsWith(ROOT.href)) continue;
      const path = specifier.slice(ROOT.href.length);
      const isThere = copied.some((source) => path === source || path.startsWith(`${source}/`));
      assert.ok(isThere, `${script} imports ${path}, which is not copied before it runs`);
    }
  }
  assert.equal(runs, 2);
});

Deno.test("parseDockerfile() joins lines, leaves comments out and parts stages", () => {
  assert.deepEqual(
    parseDockerfile("# a\nFROM x AS y\nRUN a \\\n  # b\n  && c\nFROM z\nCOPY --from=y a b /c/\n"),
    [
      { base: "x", name: "y", instructions: [{ name: "RUN", text: "a && c" }] },
      { base: "z", name: null, instructions: [{ name: "COPY", text: "--from=y a b /c/" }] },
    ],
  );
  assert.deepEqual(copyOf("--from=y a b /c/"), { from: "y", sources: ["a", "b"], target: "/c/" });
  assert.throws(() => parseDockerfile("RUN a"), SyntaxError);
});

Deno.test("withoutDevelopment() leaves the locked packages of the command, with their hashes", async () => {
  const config = JSON.parse(await read("deno.json")), lock = JSON.parse(await read("deno.lock"));
  const lean = withoutDevelopment(config, lock);
  const names = Object.keys(lean.lock.npm);
  assert.ok(names.length > 10 && names.length < Object.keys(lock.npm).length);
  for (const name of names) assert.equal(lean.lock.npm[name], lock.npm[name]);
  assert.ok(names.some((name) => name.startsWith("zod@")));
  assert.ok(
    !names.some((name) => /^(webgpu|playwright-core|@firestore-emulator)/.test(name)),
    names.join(" "),
  );
  assert.equal(lean.config.imports["playwright-core"], undefined);
  assert.equal(lean.config.imports.lowrank, "./src/mod.ts");
});
