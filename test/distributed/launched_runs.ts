/**
 * Runs of the bundled model as processes that Open MPI's launcher starts, and what they leave.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readAdapter } from "../../src/checkpoint/adapter.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { hasCommand } from "../helpers/has_command.ts";
import { withOwnCache } from "../helpers/own_cache.ts";
import { type Ended, ended } from "../helpers/run_launcher.ts";

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const LAUNCHER = `${ROOT}lowrank`;

/** Options of the runs. */
export const OPTIONS = {
  base_model: `${ROOT}examples/tiny/model`,
  training_data_path: `${ROOT}examples/tiny/signals.jsonl`,
  save: "adapter",
  lora_r: 4,
  lora_dropout: 0.1,
  max_steps: 10,
  batch_size: 2,
  gradient_accumulation_steps: 2,
  train_test_split: 0,
  logging_steps: 1,
  learning_rate: 0.01,
  save_steps: 2,
  resume: "auto",
  variant: "software",
};

/** Whether this machine can start ranks. */
export const hasMpi = await hasCommand("mpirun");

/** Prints the process with a word and a rank. Deno itself may not look into /proc without all rights. */
const FIND_RANK = `for process in /proc/[0-9]*; do
  tr '\\0' '\\n' <$process/cmdline 2>/dev/null | grep -qxF "$1" || continue
  tr '\\0' '\\n' <$process/environ 2>/dev/null | grep -qx "OMPI_COMM_WORLD_RANK=$2" || continue
  echo "\${process#/proc/}"
done`;

/** How the ranks talk. Open MPI takes shared memory on one machine unless it is told otherwise. */
export const LINKS = {
  "shared memory": [],
  "TCP loopback": ["--mca", "pml", "ob1", "--mca", "btl", "self,tcp", "--mca", "btl_tcp_if_include", "lo"],
} as const satisfies Record<string, readonly string[]>;

/** A folder in which runs are made, each named; removed at the end. */
export class Runs {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async use<T>(work: (runs: Runs) => Promise<T>): Promise<T> {
    const runs = new Runs(await Deno.makeTempDir({ prefix: "lowrank-ranks-" }));
    try {
      return await work(runs);
    } finally {
      await Deno.remove(runs.folder, { recursive: true });
    }
  }

  /** The command that trains a run, as one process. */
  async train(name: string, options: Readonly<Record<string, unknown>> = {}): Promise<string[]> {
    const config = `${this.folder}/${name}.json`;
    await Deno.writeTextFile(config, JSON.stringify({ ...OPTIONS, output_model_name: name, ...options }));
    return [LAUNCHER, "train", "--config", config];
  }

  /** Starts a command in the folder. */
  start([program, ...args]: readonly string[]): Deno.ChildProcess {
    return new Deno.Command(program!, {
      args,
      cwd: this.folder,
      env: { ...withOwnCache(`${this.folder}/cache`), NO_COLOR: "1", LP_NUM_THREADS: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  }

  /** Runs a command to its end. @throws {Error} With what it wrote, if it failed. */
  async done(command: readonly string[]): Promise<Ended> {
    const end = ended(await this.start(command).output());
    assert.equal(end.code, 0, end.out + end.err);
    return end;
  }

  /** Runs a command, and does something to it once it has written some text. */
  async disturbed(
    command: readonly string[],
    text: string,
    disturb: (child: Deno.ChildProcess) => void | Promise<void>,
  ): Promise<Ended> {
    const child = this.start(command), err = new Response(child.stderr).text();
    let out = "", isDone = false;
    for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
      out += part;
      if (isDone || !out.includes(text)) continue;
      isDone = true;
      await disturb(child);
    }
    return { code: (await child.status).code, out, err: await err };
  }

  /** Bytes of the adapter that a run has saved. */
  adapter(name: string): Promise<Uint8Array> {
    return Deno.readFile(`${this.folder}/runs/${name}/adapter/adapter_model.safetensors`);
  }

  /** Largest difference between the adapters of two runs, as a share of the largest value. */
  async difference(name: string, other: string): Promise<number> {
    const [a, b] = await Promise.all([name, other].map(async (one) => {
      const adapter = await readAdapter(new LocalFolder(`${this.folder}/runs/${one}/adapter`));
      return adapter!.tensors;
    }));
    let largest = 0, worst = 0;
    for (const [tensor, { data }] of a!) {
      const wanted = b!.get(tensor)!.data;
      for (const [i, value] of data.entries()) {
        largest = Math.max(largest, Math.abs(wanted[i]!));
        worst = Math.max(worst, Math.abs(value - wanted[i]!));
      }
    }
    return worst / largest;
  }

  /** Process of a rank of a run that goes on. */
  rank(name: string, rank: number): Promise<number> {
    return rankOf(`${this.folder}/${name}.json`, rank);
  }
}

/** The process of a rank that has a word on its command line. */
export async function rankOf(word: string, rank: number): Promise<number> {
  const args = ["-c", FIND_RANK, "sh", word, String(rank)];
  const { out } = ended(await new Deno.Command("/bin/sh", { args }).output());
  const found = out.trim();
  assert.match(found, /^\d+$/, `no rank ${rank} with ${word} is running`);
  return Number(found);
}

/** A command as several ranks. */
export function mpirun(
  size: number,
  command: readonly string[],
  link: keyof typeof LINKS = "shared memory",
): string[] {
  const asRoot = Deno.uid() === 0 ? ["--allow-run-as-root"] : [];
  return [
    ...["mpirun", "-np", String(size), "--oversubscribe", "--bind-to", "none"],
    ...asRoot,
    ...LINKS[link],
    ...command,
  ];
}
