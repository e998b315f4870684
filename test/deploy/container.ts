/**
 * Builds the image of the Dockerfile as a folder and tries it as containers are run: another user, a read-only root, no
 * network, signals, limits. Debian's `debootstrap` and root are needed, and a network for the build.
 *
 *     deno task container [--folder FOLDER] [--go-on | --built]
 *
 * Says at the end `N passed, N failed`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import { buildImage, type Image } from "./image.ts";
import { run, type SandboxOptions, type SandboxResult, start } from "./sandbox.ts";

const CONTEXT = new URL("../../", import.meta.url).pathname.replace(/\/$/, "");
/** A short run of the bundled example. */
const EXAMPLE = "/opt/lowrank/examples/tiny";
const TRAIN = [
  "train",
  `--base-model=${EXAMPLE}/model`,
  `--training-data-path=${EXAMPLE}/signals.jsonl`,
  "--batch-size=2",
  "--max-length=64",
  "--max-steps=2",
  "--num-generation-samples=0",
];
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

  async run(args: readonly string[], changes: Partial<SandboxOptions> = {}): Promise<SandboxResult> {
    return await run([...this.image.entrypoint, ...args], this.options(changes));
  }
}

function expectCode({ code, text }: SandboxResult, wanted: number): void {
  assert.equal(code, wanted, `ended with code ${code}:\n${text.slice(-2000)}`);
}

async function megabytes(folder: string): Promise<number> {
  const { stdout } = await new Deno.Command("du", { args: ["-sxm", folder] }).output();
  return parseInt(new TextDecoder().decode(stdout));
}

async function untilText(path: string, process: Promise<unknown>): Promise<void> {
  let over = false;
  process.then(() => over = true);
  while (!over) {
    if (await Deno.readTextFile(path).then((text) => text.includes('"step":'), () => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const CHECKS: Record<string, (container: Container) => Promise<string | void>> = {
  async "its size is told"({ image: { root } }) {
    const parts = ["", "/usr/lib", "/usr/local/bin", "/opt/deno-cache", "/opt/lowrank"];
    return (await Promise.all(parts.map(async (path) => `${path || "/"} ${await megabytes(root + path)} MB`)))
      .join(", ");
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
    const result = await container.run([...TRAIN, "--output-model-name=first"]);
    expectCode(result, 0);
    await Deno.stat(`${container.work}/runs/first/adapter/adapter_model.safetensors`);
    return `${result.seconds.toFixed(0)} s`;
  },
  async "train works as any user of group 0"(container) {
    const result = await container.run([...TRAIN, "--output-model-name=other"], {
      user: "1000660000:0",
      env: { HOME: "/" },
    });
    expectCode(result, 0);
    const { uid } = await Deno.stat(`${container.work}/runs/other/adapter`);
    assert.equal(uid, 1000660000);
  },
  async "--require-gpu refuses the CPU"(container) {
    const result = await container.run(TRAIN, { env: { LOWRANK_REQUIRE_GPU: "true" } });
    expectCode(result, 5);
    return result.text.trim().split("\n").at(-1)!;
  },
  async "NVIDIA's driver without its library ends the run, with and without --require-gpu"(container) {
    const env = { VK_DRIVER_FILES: NVIDIA_DRIVER };
    const result = await container.run(TRAIN, { env });
    expectCode(result, 5);
    expectCode(await container.run(TRAIN, { env: { ...env, LOWRANK_REQUIRE_GPU: "true" } }), 5);
    const told = await container.run(["doctor"], { env });
    expectCode(told, 5);
    assert.match(told.text, /problem: .*libGLX_nvidia\.so\.0/);
    return result.text.trim().split("\n").at(-1)!;
  },
  async "a memory limit that the run does not fit is refused"(container) {
    const options = { ...container.options(), memoryBytes: 60e6 };
    const result = await run(["lowrank", ...TRAIN], options);
    expectCode(result, 5);
    return result.text.trim().split("\n").at(-1)!;
  },
  async "SIGTERM saves a checkpoint and ends with 143"(container) {
    const process = start(
      [...container.image.entrypoint, ...TRAIN, "--max-steps=500", "--output-model-name=stopped"],
      container.options(),
    );
    await untilText(`${container.work}/runs/stopped/metrics.jsonl`, process.result);
    const sent = performance.now();
    await process.kill("SIGTERM");
    expectCode(await process.result, 143);
    const checkpoints = [...Deno.readDirSync(`${container.work}/runs/stopped/checkpoints`)];
    assert.ok(checkpoints.length > 0);
    return `${((performance.now() - sent) / 1e3).toFixed(1)} s`;
  },
  async "SIGTERM ends a command that has only just started"(container) {
    const process = start([...container.image.entrypoint, ...TRAIN], container.options());
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const sent = performance.now();
    await process.kill("SIGTERM");
    expectCode(await process.result, 143);
    return `${((performance.now() - sent) / 1e3).toFixed(1)} s`;
  },
};

async function main(): Promise<number> {
  const { values } = parseArgs({
    args: Deno.args,
    options: { folder: { type: "string" }, "go-on": { type: "boolean" }, built: { type: "boolean" } },
  });
  const folder = values.folder ?? `${Deno.env.get("HOME")}/.cache/lowrank/container`;
  const image = await buildImage(
    CONTEXT,
    folder,
    values.built ? "built" : values["go-on"] ? "go-on" : "anew",
  );
  let failed = 0;
  for (const [name, check] of Object.entries(CHECKS)) {
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
  console.log(`${Object.keys(CHECKS).length - failed} passed, ${failed} failed`);
  return failed;
}

if (import.meta.main) Deno.exit(await main() > 0 ? 1 : 0);
