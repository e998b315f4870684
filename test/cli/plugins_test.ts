import assert from "node:assert/strict";
import { loadPlugins } from "../../src/cli/load_plugins.ts";
import { runCommand } from "../../src/cli/run.ts";
import { fakeIo, FINISHED_EVENT, SUMMARY_EVENT } from "./fake_io.ts";

const EXAMPLES = new URL("../../examples/plugins/", import.meta.url).pathname;
const JOB = ["--base-model", "m", "--output-model-name", "ember", "--training-data-path", "t.jsonl"];

/** Runs `train` with plugins of files in a new folder. */
async function trained(args: readonly string[], files: Readonly<Record<string, string>> = {}) {
  const path = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${path}/${name}`, text);
    const { io, stderr, jobs } = fakeIo({ events: () => [SUMMARY_EVENT, FINISHED_EVENT] });
    const code = await runCommand(["train", ...JOB, ...args.map((word) => word.replace("DIR", path))], {
      ...io,
      loadPlugins,
    });
    return { code, jobs, err: stderr.text.replaceAll(path, "DIR") };
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

Deno.test("train --plugin, given again and again, lets options name what plugins bring", async () => {
  const flags = [
    "--plugin",
    `${EXAMPLES}flan.ts`,
    "--plugin",
    `${EXAMPLES}peft_trainer.ts`,
    "--trainer",
    "peft",
  ];
  const { code, jobs, err } = await trained([...flags, "--data-format", "flan_tsv"]);
  assert.deepEqual([code, err], [0, ""]);
  const { job, training } = jobs[0]!.config;
  assert.deepEqual(job.plugins, [`${EXAMPLES}flan.ts`, `${EXAMPLES}peft_trainer.ts`]);
  assert.deepEqual([job.trainer, training.dataFormat], ["peft", "flan_tsv"]);
});

Deno.test("train exits 2 for plugins that cannot be used, all of them named, before anything starts", async () => {
  const files = {
    "broken.ts": "export default {",
    "none.ts": "export const x = 1;",
    "later.ts": 'export default { apiVersion: 2, name: "later" };',
    "part.ts": 'export default { apiVersion: 1, name: "part", trainers: [{ name: "t" }] };',
  };
  const plugins = ["gone.ts", ...Object.keys(files)].flatMap((name) => ["--plugin", `DIR/${name}`]);
  const { code, jobs, err } = await trained(plugins, files);
  assert.deepEqual([code, jobs], [2, []]);
  const lines = err.split("\n");
  assert.match(lines[0]!, /^error: DIR\/gone\.ts cannot be loaded as a plugin: .*not found/i);
  assert.match(lines[1]!, /^error: DIR\/broken\.ts cannot be loaded as a plugin: /);
  assert.match(lines[2]!, /^error: DIR\/none\.ts must export a plugin by default/);
  assert.match(lines[3]!, /^error: DIR\/later\.ts plugin "later" is for version 2/);
  assert.match(lines[4]!, /^error: DIR\/part\.ts plugin "part": trainer "t" lacks "train", a function/);
});

Deno.test("train exits 2 for plugins whose names clash, and for names that no plugin brings", async () => {
  const tracker = 'trackers: [{ name: "sqlite", open() {} }]';
  const files = { "mine.ts": `export default { apiVersion: 1, name: "mine", ${tracker} };` };
  const clash = await trained(["--plugin", "DIR/mine.ts"], files);
  assert.equal(clash.code, 2);
  assert.match(clash.err, /^error: plugins "mine" brings the tracker "sqlite", which Lowrank has already/);
  const unknown = await trained(["--trainer", "peft"]);
  assert.equal(unknown.code, 2);
  assert.match(unknown.err, /^error: --trainer must be lowrank: current value is "peft"/);
});
