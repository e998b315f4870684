/**
 * Builds the image of the Dockerfile as a folder and tries it as containers are run: another user, a read-only root, no
 * network, signals, limits. Debian's `debootstrap` and root are needed, and a network for the build.
 *
 *     deno task container [--folder FOLDER] [--go-on | --built] [--only TEXT]
 *
 * `--only` makes the checks whose names hold the text. Says at the end `N passed, N failed`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import { load } from "js-yaml";
import { freePort } from "../helpers/emulators.ts";
import { buildImage, command, type Image, output } from "./image.ts";
import { run, type SandboxOptions, type SandboxProcess, type SandboxResult, start } from "./sandbox.ts";

const CONTEXT = new URL("../../", import.meta.url).pathname.replace(/\/$/, "");
/** The bundled example. */
const EXAMPLE = "/opt/lowrank/examples/tiny";

/** Arguments of a short run of it. */
function train(name: string, ...more: readonly string[]): string[] {
  return [
    "train",
    `--base-model=${EXAMPLE}/model`,
    `--training-data-path=${EXAMPLE}/signals.jsonl`,
    `--output-model-name=${name}`,
    "--batch-size=2",
    "--max-length=64",
    "--max-steps=2",
    "--num-generation-samples=0",
    ...more,
  ];
}
/** As clusters choose one: in no list of users. */
const ANY_USER = "1000660000:0";
const NVIDIA_DRIVER = "/usr/share/vulkan/icd.d/nvidia_icd.json";

/** Runs the image with a data folder of its own. */
class Container {
  readonly image: Image;
  readonly work: string;

  constructor(image: Image, work: string) {
    this.image = image;
    this.work = work;
  }

  options(changes: Partial<SandboxOptions> = {}): SandboxOptions {
    const { root, env, user, workdir } = this.image;
    return {
      root,
      user,
      cwd: workdir,
      readOnly: true,
      mounts: { "/work": this.work },
      ...changes,
      env: { ...env, ...changes.env },
    };
  }

  start(args: readonly string[], changes: Partial<SandboxOptions> = {}): SandboxProcess {
    return start([...this.image.entrypoint, ...args], this.options(changes));
  }

  async run(args: readonly string[], changes: Partial<SandboxOptions> = {}): Promise<SandboxResult> {
    return await this.start(args, changes).result;
  }
}

/** What is used of the manifest of a Kubernetes Job. */
interface PodTemplate {
  readonly spec: {
    readonly securityContext: {
      readonly runAsNonRoot: true;
      readonly runAsUser: number;
      readonly fsGroup: number;
    };
    readonly containers: readonly [{
      readonly args: readonly string[];
      readonly env: readonly { readonly name: string; readonly value: string }[];
      readonly workingDir: string;
      readonly resources: { readonly limits: { readonly memory: string } };
      readonly securityContext: {
        readonly readOnlyRootFilesystem: boolean;
        readonly allowPrivilegeEscalation: false;
      };
      readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
    }];
  };
}

/**
 * The Job of the manifest as a node of a cluster runs it: its arguments, variables, user, rights, limit and volumes, which
 * belong to the group of its files. The volume of work holds the bundled example as the model and the data that it names.
 */
async function kubernetesJob(
  { image, work }: Container,
): Promise<{ readonly args: string[]; readonly options: SandboxOptions; readonly work: string }> {
  const text = await Deno.readTextFile(`${CONTEXT}/deploy/kubernetes/train-job.yaml`);
  const manifest = load(text) as { readonly spec: { readonly template: PodTemplate } };
  const { securityContext: { runAsUser, fsGroup }, containers: [container] } = manifest.spec.template.spec;
  const { args, env, workingDir, resources, securityContext, volumeMounts } = container;
  const mounts = Object.fromEntries(
    volumeMounts.map(({ name, mountPath }) => [mountPath, `${work}/${name}`]),
  );
  for (const folder of Object.values(mounts)) {
    await Deno.mkdir(folder, { recursive: true });
    await Deno.chown(folder, 0, fsGroup);
    await Deno.chmod(folder, 0o2775);
  }
  const example = `${image.root}${EXAMPLE}`, volume = mounts[workingDir]!;
  await Deno.mkdir(`${volume}/models`);
  await Deno.mkdir(`${volume}/data`);
  await command("cp", "-r", `${example}/model`, `${volume}/models/smollm2`);
  await command("cp", `${example}/signals.jsonl`, `${volume}/data/train.jsonl`);
  await command("chgrp", "-R", String(fsGroup), volume);
  await command("chmod", "-R", "g+rwX", volume);
  const gibibytes = /^(\d+)Gi$/.exec(resources.limits.memory)![1]!;
  return {
    args: [...image.entrypoint, ...args],
    work: volume,
    options: {
      root: image.root,
      // a user of the manifest has the group that the image's list of users gives
      user: `${runAsUser}:${image.user.split(":")[1]}`,
      groups: [fsGroup],
      isConfined: !securityContext.allowPrivilegeEscalation,
      cwd: workingDir,
      readOnly: securityContext.readOnlyRootFilesystem,
      mounts,
      memoryBytes: Number(gibibytes) * 2 ** 30,
      env: { ...image.env, ...Object.fromEntries(env.map(({ name, value }) => [name, value])) },
    },
  };
}

/** The health check of a server that the documentation gives. */
async function serverHealth(port: number): Promise<string[]> {
  const [, command] = /--health-cmd "(.*)"/.exec(await Deno.readTextFile(`${CONTEXT}/docs/deploy.md`))!;
  return ["sh", "-c", command!.replaceAll('\\"', '"').replace("8000", String(port))];
}

async function untilServing(address: string, server: SandboxProcess): Promise<void> {
  let isOver = false;
  void server.result.then(() => isOver = true);
  while (!isOver) {
    const response = await fetch(address).catch(() => null);
    await response?.body?.cancel();
    if (response?.ok) return;
    await sleep(100);
  }
  throw new Error(`it does not serve:\n${(await server.result).text.slice(-2000)}`);
}

// deno-lint-ignore no-explicit-any -- of whatever shape the API has
async function answer(address: string, request?: RequestInit): Promise<any> {
  const response = await fetch(address, request), text = await response.text();
  assert.ok(response.ok, `${address}: ${response.status} ${text}`);
  return JSON.parse(text);
}

function post(value: unknown, headers: Readonly<Record<string, string>>): RequestInit {
  return {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify(value),
  };
}

function expectCode({ code, text }: SandboxResult, wanted: number): void {
  assert.equal(code, wanted, `ended with code ${code}:\n${text.slice(-2000)}`);
}

async function megabytes(folder: string): Promise<number> {
  return Math.round(parseInt(await output("du", "-sxB1", folder)) / 1e6);
}

/** As registries keep and send it. */
async function packedMegabytes(root: string): Promise<number> {
  const bytes = await output("sh", "-c", 'tar -C "$0" --one-file-system -c . | gzip | wc -c', root);
  return Math.round(Number(bytes) / 1e6);
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until a run has trained some steps, or is over. */
async function untilTrained(folder: string, run: SandboxProcess): Promise<void> {
  let isOver = false;
  void run.result.then(() => isOver = true);
  while (!isOver) {
    const metrics = await Deno.readTextFile(`${folder}/metrics.jsonl`).catch(() => "");
    if (metrics.includes('"step":3')) return;
    await sleep(100);
  }
}

const CHECKS: Record<string, (container: Container) => Promise<string | void>> = {
  async "its size is told"({ image: { root } }) {
    const parts = ["", "/usr/lib", "/usr/local/bin", "/opt/deno-cache", "/opt/lowrank"];
    const told = parts.map(async (path) => `${path || "/"} ${await megabytes(root + path)} MB`);
    return `${(await Promise.all(told)).join(", ")}; packed ${await packedMegabytes(root)} MB`;
  },
  async "the health check answers in time"({ image, ...container }) {
    const result = await run(image.healthcheck, new Container(image, container.work).options());
    expectCode(result, 0);
    assert.ok(result.seconds < 20);
    return `${result.seconds.toFixed(1)} s`;
  },
  async "doctor finds Mesa's driver for the CPU, and says which driver's library is missing"(container) {
    const result = await container.run(["doctor", "--json"]);
    expectCode(result, 0);
    const { adapters, machine } = JSON.parse(result.text.slice(result.text.indexOf("{\n")));
    assert.match(adapters[0].name, /llvmpipe/);
    const nvidia = machine.vulkan.drivers.find(({ file }: { file: string }) => file === NVIDIA_DRIVER);
    assert.equal(nvidia.present, false);
    return adapters[0].name;
  },
  async "train works without a network, as the image's user, on a read-only root"(container) {
    const result = await container.run(train("first"));
    expectCode(result, 0);
    await Deno.stat(`${container.work}/runs/first/adapter/adapter_model.safetensors`);
    return `${result.seconds.toFixed(0)} s`;
  },
  async "train works as any user of group 0"(container) {
    const result = await container.run(train("other"), { user: ANY_USER, env: { HOME: "/" } });
    expectCode(result, 0);
    const { uid } = await Deno.stat(`${container.work}/runs/other/adapter`);
    assert.equal(`${uid}:0`, ANY_USER);
  },
  async "the Kubernetes Job trains within its rights and its memory, is stopped and goes on"(container) {
    const { args, options, work } = await kubernetesJob(container);
    expectCode(await run(args, options), 5); // the manifest wants a GPU, and there is none
    const env = { ...options.env, LOWRANK_REQUIRE_GPU: "false" };
    const short = [...args, "--batch-size=2", "--max-length=64", "--num-generation-samples=0"];
    const stopped = start([...short, "--max-steps=12", "--warmup-steps=0"], { ...options, env });
    await untilTrained(`${work}/runs/lighthouse`, stopped);
    await stopped.kill("SIGTERM");
    expectCode(await stopped.result, 143);
    const next = await run([...short, "--max-steps=12", "--warmup-steps=0"], { ...options, env });
    expectCode(next, 0);
    assert.match(next.text, /^going on after step \d+ from .*checkpoint/m);
    return `${(next.peakBytes! / 1e6).toFixed(0)} MB at most`;
  },
  async "train works within 512 MiB that the kernel keeps, and doctor tells them"(container) {
    const within = { memoryBytes: 512 << 20 };
    const told = await container.run(["doctor"], within);
    assert.match(told.text, /^memory +512\.0 MiB, .* \(limited by the container or control group\)$/m);
    const result = await container.run(train("small"), within);
    expectCode(result, 0);
    return `${(result.peakBytes! / 1e6).toFixed(0)} MB at most`;
  },
  async "--require-gpu refuses the CPU"(container) {
    const result = await container.run(train("none"), { env: { LOWRANK_REQUIRE_GPU: "true" } });
    expectCode(result, 5);
    return result.text.trim().split("\n").at(-1)!;
  },
  async "NVIDIA's driver without its library ends the run, with and without --require-gpu"(container) {
    const env = { VK_DRIVER_FILES: NVIDIA_DRIVER };
    const result = await container.run(train("none"), { env });
    expectCode(result, 5);
    expectCode(await container.run(train("none"), { env: { ...env, LOWRANK_REQUIRE_GPU: "true" } }), 5);
    const told = await container.run(["doctor"], { env });
    expectCode(told, 5);
    assert.match(told.text, /problem: .*libGLX_nvidia\.so\.0/);
    return result.text.trim().split("\n").at(-1)!;
  },
  async "a memory limit that the run does not fit is refused"(container) {
    const options = { ...container.options(), memoryBytes: 60e6, isLimitToldOnly: true };
    const result = await run(["lowrank", ...train("none")], options);
    expectCode(result, 5);
    return result.text.trim().split("\n").at(-1)!;
  },
  async "SIGTERM saves a checkpoint and ends with 143"(container) {
    const process = container.start(train("stopped", "--max-steps=500"));
    await untilTrained(`${container.work}/runs/stopped`, process);
    const sent = performance.now();
    await process.kill("SIGTERM");
    expectCode(await process.result, 143);
    const names = [...Deno.readDirSync(`${container.work}/runs/stopped`)].map(({ name }) => name);
    const checkpoint = names.find((name) => name.startsWith("checkpoint-"));
    assert.ok(checkpoint, names.join(" "));
    return `${checkpoint} after ${((performance.now() - sent) / 1e3).toFixed(1)} s`;
  },
  async "SIGTERM ends a command that has only just started"(container) {
    const process = container.start(train("none"));
    await sleep(1000);
    const sent = performance.now();
    await process.kill("SIGTERM");
    expectCode(await process.result, 143);
    return `${((performance.now() - sent) / 1e3).toFixed(1)} s`;
  },
  async "serve takes a token, trains a job as any user, on a read-only root, and stops at SIGTERM"(
    container,
  ) {
    const port = freePort(), address = `http://127.0.0.1:${port}`;
    const options = { user: ANY_USER, env: { HOME: "/" }, network: true };
    const made = await container.run(["token", "create", "--name=laptop"], options);
    expectCode(made, 0);
    const headers = { authorization: `Bearer ${made.text.trim().split("\n").at(-1)!}` };
    const server = container.start(["serve", "--host=0.0.0.0", `--port=${port}`], options);
    try {
      await untilServing(`${address}/readyz`, server);
      expectCode(await run(await serverHealth(port), container.options(options)), 0);
      const page = await fetch(`${address}/page/`);
      assert.ok(page.ok && (await page.text()).includes("main.js"), `the page: ${page.status}`);
      const form = new FormData();
      form.set("purpose", "fine-tune");
      const data = await Deno.readFile(`${container.image.root}${EXAMPLE}/signals.jsonl`);
      form.set("file", new File([data], "signals.jsonl"));
      const { id: training_file } = await answer(`${address}/v1/files`, {
        method: "POST",
        body: form,
        headers,
      });
      const hyperparameters = { n_epochs: 1, batch_size: 2, max_steps: 2, max_length: 64 };
      const wanted = {
        model: "lowrank-tiny",
        training_file,
        method: { type: "supervised", supervised: { hyperparameters } },
      };
      const jobs = `${address}/v1/fine_tuning/jobs`;
      let job = await answer(jobs, post(wanted, headers));
      while (!["succeeded", "failed", "cancelled"].includes(job.status)) {
        await sleep(500);
        job = await answer(`${jobs}/${job.id}`, { headers });
      }
      assert.equal(job.status, "succeeded", JSON.stringify(job.error));
      const chat = { model: job.fine_tuned_model, messages: [{ role: "user", content: "?" }], max_tokens: 3 };
      const { usage } = await answer(`${address}/v1/chat/completions`, post(chat, headers));
      assert.ok(usage.completion_tokens >= 1);
    } finally {
      await server.kill("SIGTERM").catch(() => {}); // it may have ended
    }
    const result = await server.result;
    expectCode(result, 0);
    return `${result.seconds.toFixed(0)} s`;
  },
};

async function main(): Promise<number> {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      folder: { type: "string" },
      "go-on": { type: "boolean" },
      built: { type: "boolean" },
      only: { type: "string", default: "" },
    },
  });
  const folder = values.folder ?? `${Deno.env.get("HOME")}/.cache/lowrank/container`;
  const image = await buildImage(
    CONTEXT,
    folder,
    values.built ? "built" : values["go-on"] ? "go-on" : "anew",
  );
  let failed = 0;
  const chosen = Object.entries(CHECKS).filter(([name]) => name.includes(values.only));
  for (const [name, check] of chosen) {
    const work = await Deno.makeTempDir({ prefix: "lowrank-container-" });
    await Deno.chmod(work, 0o777);
    try {
      const note = await check(new Container(image, work));
      console.log(`ok      ${name}${note ? `: ${note}` : ""}`);
    } catch (error) {
      failed++;
      console.log(`FAILED  ${name}: ${(error as Error).message}`);
    } finally {
      await Deno.remove(work, { recursive: true });
    }
  }
  console.log(`${chosen.length - failed} passed, ${failed} failed`);
  return failed;
}

if (import.meta.main) Deno.exit(await main() > 0 ? 1 : 0);
