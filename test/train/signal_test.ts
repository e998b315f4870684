/**
 * The command under signals, as a process of its own.
 */
import assert from "node:assert/strict";
import { CommandProcess } from "../helpers/command_process.ts";
import { device } from "../helpers/device.ts";
import { ROWS } from "../helpers/job_disk.ts";
import { OPTIONS } from "./doomed_run.ts";
import { finish, leftIn, runFolder, undisturbed } from "./kills.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Runs the command, sends a signal when a step is told, and maybe another when the first is answered. */
async function interrupted(
  folder: string,
  options: Readonly<Record<string, unknown>>,
  signals: readonly Deno.Signal[],
): Promise<{ code: number; text: string }> {
  await Deno.writeTextFile(`${folder}/job.json`, JSON.stringify({ ...OPTIONS, ...options }));
  const rights = ["--allow-read", "--allow-write", "--allow-env", "--allow-sys"];
  const args = ["run", "--config", `${ROOT}deno.json`, "--no-prompt", ...rights, `${ROOT}src/main.ts`];
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args, "train", "--config", "job.json"],
    cwd: folder,
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const errors = new Response(child.stderr).text();
  let text = "";
  const waitingFor = ["step 3/", "stopping after this batch"];
  let sent = 0;
  for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += part;
    while (sent < signals.length && text.includes(waitingFor[sent]!)) child.kill(signals[sent++]!);
  }
  const { code } = await child.status;
  return { code, text: text + await errors };
}

function test(name: string, body: () => Promise<void>): void {
  Deno.test({
    name: device ? name : `${name} (no adapter)`,
    ignore: !device || Deno.build.os === "windows",
    fn: body,
  });
}

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  test(`train exits ${code} on ${signal}, says how to go on, and goes on to what an undisturbed run leaves`, async () => {
    const folder = await runFolder();
    try {
      const stopped = await interrupted(folder, {}, [signal]);
      assert.equal(stopped.code, code, stopped.text);
      const [, step] = /stopped after step (\d+): the same command with --resume auto goes on from there/
        .exec(stopped.text) ?? [];
      assert.ok(Number(step) >= 3 && Number(step) < OPTIONS.max_steps, stopped.text);
      assert.match(stopped.text, new RegExp(`error: interrupted by ${signal}\n`));
      assert.equal(JSON.parse(await Deno.readTextFile(`${folder}/runs/ember/run.json`)).status, "cancelled");
      const { resumedAfter } = await finish(folder);
      assert.equal(resumedAfter, Number(step));
      if (signal === "SIGINT") assert.deepEqual(await leftIn(folder), (await undisturbed()).left);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

test("train whose output nobody reads any more stops with a checkpoint, on a signal too, and does not hang", async () => {
  for (const signals of [[], ["SIGTERM"]] as const) {
    const folder = await runFolder();
    try {
      const options = {
        ...OPTIONS,
        variant: "software",
        max_steps: 100_000,
        logging_steps: signals.length === 0 ? 1 : 1000,
      };
      await Deno.writeTextFile(`${folder}/job.json`, JSON.stringify(options));
      const child = CommandProcess.start(["train", "--config", "job.json"], folder);
      await child.until(signals.length === 0 ? /step 3\// : /compiling kernels/);
      await child.close();
      for (const signal of signals) child.kill(signal);
      const code = await child.code();
      assert.ok(signals.length === 0 ? code === 141 : code === 141 || code === 143, `${code}`);
      const { status, steps } = JSON.parse(await Deno.readTextFile(`${folder}/runs/ember/run.json`));
      assert.equal(status, "cancelled");
      if (steps > 0) assert.ok((await Deno.stat(`${folder}/runs/ember/checkpoint-${steps}`)).isDirectory);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
});

test("train ends at once on a second signal, without waiting for the batch or a checkpoint", async () => {
  const folder = await runFolder();
  try {
    const options = { max_steps: 1000, batch_size: 256, gradient_accumulation_steps: 1, train_test_split: 0 };
    await Deno.writeTextFile(`${folder}/train.jsonl`, ROWS.repeat(30));
    const { code, text } = await interrupted(folder, { ...options, logging_steps: 1 }, ["SIGINT", "SIGTERM"]);
    assert.equal(code, 143, text);
    assert.match(text, /stopping after this batch and saving a checkpoint; a second signal stops at once\n$/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
