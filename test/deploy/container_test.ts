import assert from "node:assert/strict";
import { parse } from "yaml";
import { parseFlags, TRAIN_FLAGS } from "../../src/cli/flags.ts";
import { EXIT_CODES } from "../../src/cli/exit_codes.ts";
import { resolveConfig } from "../../src/cli/sources.ts";
import { VERSION } from "../../src/version.ts";

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
  const job = parse(await read("deploy/kubernetes/train-job.yaml"));
  const { containers, terminationGracePeriodSeconds } = job.spec.template.spec;
  checkContainer(containers[0]);
  assert.ok(terminationGracePeriodSeconds > 30);
  const final = job.spec.podFailurePolicy.rules[0].onExitCodes.values;
  const known = EXIT_CODES.map(({ code }) => code) as number[];
  assert.ok(final.every((code: number) => known.includes(code)));
});

Deno.test("the Cloud Run job runs a command that train takes", async () => {
  const job = parse(await read("deploy/cloud-run/train-job.yaml"));
  checkContainer(job.spec.template.spec.template.spec.containers[0]);
});

Deno.test("the image has the launcher's Deno and every path that it copies", async () => {
  const dockerfile = await read("Dockerfile"), launcher = await read("lowrank");
  const [, inImage] = /^ARG DENO_VERSION=(.*)$/m.exec(dockerfile)!;
  const [, inLauncher] = /^DENO_VERSION=(.*)$/m.exec(launcher)!;
  assert.equal(inImage, inLauncher);
  const ignored = await read(".dockerignore");
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths]) =>
    paths!.split(" ")
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
