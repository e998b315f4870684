import assert from "node:assert/strict";
import { InterruptedError } from "../../src/cli/exit_codes.ts";
import type { CliIo } from "../../src/cli/io.ts";
import { loadPlugins } from "../../src/cli/load_plugins.ts";
import { runCommand } from "../../src/cli/run.ts";
import { writeFile } from "../../src/storage.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { writeTinyAdapter } from "../helpers/adapter_file.ts";
import { CommandProcess } from "../helpers/command_process.ts";
import { onGpu } from "../helpers/device.ts";
import { readJson } from "../helpers/job_runs.ts";
import { writeTinyModel } from "../helpers/tiny_model.ts";
import { fakeIo, type FakeIoOptions, FINISHED_EVENT, stepEvent, SUMMARY_EVENT } from "./fake_io.ts";

const EXAMPLES = new URL("../../examples/plugins/", import.meta.url).pathname;
const JOB = ["--base-model", "m", "--output-model-name", "ember", "--training-data-path", "t.jsonl"];

/** Runs `train` with plugins of files in a new folder. */
async function trained(
  args: readonly string[],
  files: Readonly<Record<string, string>> = {},
  more: Partial<CliIo> & Pick<FakeIoOptions, "events"> = {},
) {
  const path = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${path}/${name}`, text);
    const { io, stdout, stderr, jobs } = fakeIo({
      events: more.events ?? (() => [SUMMARY_EVENT, FINISHED_EVENT]),
    });
    const code = await runCommand(["train", ...JOB, ...args.map((word) => word.replace("DIR", path))], {
      ...io,
      ...more,
      loadPlugins,
    });
    return { code, jobs, out: stdout.text, err: stderr.text.replaceAll(path, "DIR") };
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

Deno.test("train says at a signal what the trainer of a plugin keeps: nothing of its own", async () => {
  const peft = ["--plugin", `${EXAMPLES}peft_trainer.ts`, "--trainer", "peft"];
  const told = new AbortController();
  function* events() {
    yield SUMMARY_EVENT;
    yield stepEvent(7, 1.5);
    told.abort(new InterruptedError("SIGTERM"));
    yield stepEvent(8, 1.4);
  }
  const { code, out } = await trained(peft, {}, { events, untilInterrupted: (work) => work(told.signal) });
  assert.equal(code, 143);
  assert.match(out, /^stopping; a second signal stops at once$/m);
  assert.match(
    out,
    /^stopped after step 7: the trainer peft kept no checkpoint, .* --resume auto begins anew$/m,
  );
  assert.doesNotMatch(out, /saving a checkpoint|nothing is kept/);
});

/** Files of plugins: a model family, two data formats, and a scheme that stands for folders of this machine. */
const PLUGINS = [
  `${EXAMPLES}seed_oss.ts`,
  `${EXAMPLES}flan.ts`,
  new URL("./shelf_plugin.ts", import.meta.url).pathname,
];

/** A folder with a model of a plugin's family, an adapter for it, and rows of a plugin's format. */
async function withPluginDisk(
  body: (
    path: string,
    run: (args: readonly string[], env?: Record<string, string>) => Promise<string>,
  ) => Promise<void>,
  device: Parameters<typeof writeTinyAdapter>[1],
): Promise<void> {
  const path = await Deno.makeTempDir({ prefix: "lowrank-plugins-" });
  try {
    const root = new LocalFolder(path);
    // a family of Lowrank's that has the same tensors
    await writeTinyModel(root.folder("base"), { config: { model_type: "qwen2" } });
    await writeTinyAdapter(root.folder("adapter"), device);
    const config = await readJson(root.folder("base"), "config.json");
    await writeFile(
      root.folder("base"),
      "config.json",
      JSON.stringify({ ...config, model_type: "seed_oss" }),
    );
    const rows = ["a", "b", "c"].map((inputs) => JSON.stringify({ inputs, targets: "xyz" }));
    await writeFile(root, "rows.jsonl", rows.join("\n"));
    await body(path, async (args, env = {}) => {
      const { io, stdout, stderr } = fakeIo({ env });
      const code = await runCommand(args, { ...io, loadPlugins });
      return `${code}\n${stdout.text}${stderr.text}`;
    });
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

onGpu(
  "every verb that reads models and data takes what plugins bring, named by flags or LOWRANK_PLUGINS",
  (device) =>
    withPluginDisk(async (path, run) => {
      const model = ["--base-model", `${path}/base`], adapter = ["--adapter-path", `shelf://${path}/adapter`];
      const flags = PLUGINS.flatMap((file) => ["--plugin", file]),
        env = { LOWRANK_PLUGINS: PLUGINS.join(",") };

      const refused = await run(["inspect", `${path}/base`]);
      assert.match(refused, /^4\nerror: .*"seed_oss"/);
      assert.match(await run(["inspect", `${path}/base`, ...flags]), /^0\nmodel\nmodel type +seed_oss\n/);
      assert.match(await run(["inspect", `shelf://${path}/adapter`], env), /^0\nadapter\n/);
      assert.match(await run(["inspect", `shelf://${path}/base`], env), /^0\nmodel\n/);
      assert.match(await run(["inspect", `shelf://${path}/base`]), /^2\nerror: .*begins with shelf:\/\//);

      const rows = `shelf://${path}/rows.jsonl`;
      const checked = await run(["check", rows, ...model, "--json", ...flags]);
      assert.match(checked, /^0\n/);
      assert.deepEqual(JSON.parse(checked.slice(2)).train.formats, ["flan"]);

      const measured = await run([
        "eval",
        ...model,
        ...adapter,
        "--eval-data-path",
        rows,
        "--json",
        "--metric",
        "loss",
      ], env);
      assert.match(measured, /^0\n/);
      const { base, adapter: tuned } = JSON.parse(measured.slice(2).replace(/\n\}\n[^]*$/, "\n}"));
      assert.ok(base.loss > 0 && tuned.loss > 0 && base.loss !== tuned.loss, measured);

      assert.match(
        await run(["merge", ...model, ...adapter, "-o", `${path}/merged`, ...flags]),
        /^0\nmerged model/,
      );
      const exported = ["export", "onnx", `${path}/base`, "--adapter", adapter[1]!, "--out", `${path}/onnx`];
      assert.match(await run([...exported, ...flags]), /^0\n/);

      for (const verb of ["generate", "chat"]) {
        const { io, requests } = fakeIo({ input: "hello", env });
        await runCommand([verb, ...model, ...adapter], { ...io, loadPlugins });
        assert.deepEqual(requests[0]!.plugins.map(({ name }) => name), ["seed-oss", "flan", "shelf"], verb);
      }
      const words = ["generate", ...model, ...adapter, "--prompt", "ab", "--max-new-tokens", "2", ...flags];
      const command = CommandProcess.start(words, path);
      assert.equal(await command.code(), 0, command.text);
      assert.match(command.text, /[12] tokens?, /);
    }, device),
);
