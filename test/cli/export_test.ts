import assert from "node:assert/strict";
import { writeAdapter } from "../../src/checkpoint/adapter.ts";
import { GgufFile } from "../../src/checkpoint/gguf.ts";
import { exportModel } from "../../src/cli/export.ts";
import { EXPORT_FORMATS } from "../../src/cli/export_flags.ts";
import { runCommand } from "../../src/cli/run.ts";
import { ConfigError } from "../../src/errors.ts";
import { ModelManager } from "../../src/model_manager.ts";
import { readText } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { folderAt } from "../helpers/job_disk.ts";
import { tinyAdapter } from "../helpers/tiny_adapter.ts";
import { writeTinyModel } from "../helpers/tiny_model.ts";
import { fakeIo, type FakeIoOptions } from "./fake_io.ts";

/** A disk with a base model and the adapter of a run. */
async function disk(): Promise<MemoryFolder> {
  const root = new MemoryFolder("disk");
  await writeTinyModel(root.folder("base"));
  const base = await new ModelManager((uri) => folderAt(root, uri)).open("base");
  await writeAdapter(folderAt(root, "runs/ember/adapter"), tinyAdapter(base));
  return root;
}

async function run(root: MemoryFolder, args: string, options: FakeIoOptions = {}) {
  const { io, stdout, stderr } = fakeIo(options);
  await exportModel(args.split(" "), io, { files: (uri) => folderAt(root, uri) });
  return { out: stdout.text, err: stderr.text };
}

Deno.test("export --help lists the formats, and each has a help of its own that fits 100 columns", async () => {
  const help = async (...args: string[]) => {
    const { io, stdout } = fakeIo();
    assert.equal(await runCommand(args, io), 0);
    for (const line of stdout.text.split("\n")) assert.ok(line.length <= 100, line);
    return stdout.text;
  };
  const all = await help("export", "--help");
  assert.equal(await help("help", "export"), all);
  for (const format of Object.keys(EXPORT_FORMATS)) {
    assert.match(all, new RegExp(`^ {2}${format} +\\S`, "m"));
    const own = await help("export", format, "--help");
    assert.ok(own.startsWith(`lowrank export ${format}: `));
    assert.match(own, /--adapter PATH[^]*--out [^]*Exit codes[^]*Examples/);
    assert.equal(await help("help", "export", format), own);
  }
});

Deno.test("export gguf writes the merged model into the run's folder and says so", async () => {
  const root = await disk(), { out, err } = await run(root, "gguf runs/ember --type q8_0");
  assert.match(
    out,
    /^runs\/ember\/ember-q8_0\.gguf: 20 tensors in Q8_0, [\d.]+ KiB, base and adapter merged\n$/,
  );
  assert.match(err, /^warning: 4 matrices stay in F16 \(blk\.0\.attn_output\.weight, [^)]+, \.\.\.\)/);
  const { metadata } = await GgufFile.open(folderAt(root, "runs/ember"), "ember-q8_0.gguf");
  assert.equal(metadata.get("general.name"), "ember");
  await assert.rejects(
    run(root, "gguf runs/ember --type q8_0"),
    /"runs\/ember\/ember-q8_0.gguf" is there already/,
  );
  const again = await run(root, "gguf runs/ember --type q8_0 --overwrite --quiet");
  assert.equal(again.out, "");
});

Deno.test("export gguf shows progress in a terminal and takes the line away", async () => {
  const { err } = await run(await disk(), "gguf base --out tiny.gguf", { isTerminal: true });
  const [before, first = ""] = err.split("\r\x1b[K");
  assert.equal(before, "");
  assert.match(first, /^tiny\.gguf +\d+ % {2}[\d.]+ \w+ of [\d.]+ KiB$/);
  assert.ok(err.endsWith("\r\x1b[K"));
});

Deno.test("export gguf stops at a signal and leaves no file", async () => {
  const root = await disk();
  await assert.rejects(run(root, "gguf base --out tiny.gguf", { interruptBy: "SIGINT" }), {
    name: "InterruptedError",
  });
  assert.equal(await root.exists("tiny.gguf"), false);
});

Deno.test("export gguf-lora writes the adapter where --out says", async () => {
  const root = await disk(), { out } = await run(root, "gguf-lora runs/ember --out out/a.gguf --type f16");
  assert.equal(out, "out/a.gguf: 14 maps in F16\n");
  const { infos } = await GgufFile.open(root.folder("out"), "a.gguf");
  assert.equal(infos.size, 28);
  assert.ok([...infos.values()].every(({ type }) => type.name === "F16"));
});

Deno.test("export ollama writes model, template and stop tokens", async () => {
  const root = await disk(), { out } = await run(root, "ollama runs/ember --system brief");
  assert.match(out, /^ollama create ember -f runs\/ember\/ollama\/Modelfile$/m);
  const folder = folderAt(root, "runs/ember/ollama");
  assert.deepEqual(await folder.list(), ["Modelfile", "ember-f16.gguf"]);
  const text = await readText(folder, "Modelfile");
  assert.match(
    text,
    /^FROM \.\/ember-f16\.gguf\nTEMPLATE """\{\{- if \.System \}\}\{\{ "<\|start\|>system\\n" \}\}/,
  );
  assert.match(text, /^SYSTEM """brief"""\nPARAMETER stop "<\/s>"\nPARAMETER stop "<\|end\|>"\n$/m);
  await assert.rejects(run(root, "ollama runs/ember"), /--out: "runs\/ember\/ollama" holds files already/);
});

Deno.test("export ollama --from puts the adapter alone on a model of Ollama's", async () => {
  const root = await disk();
  await run(root, "ollama runs/ember --from tiny:1b --out o");
  assert.deepEqual(await root.folder("o").list(), ["Modelfile", "ember-lora.gguf"]);
  assert.match(
    await readText(root.folder("o"), "Modelfile"),
    /^FROM tiny:1b\nADAPTER \.\/ember-lora\.gguf\nTEMPLATE /,
  );
});

Deno.test("export ollama refuses a template that cannot be translated, until one is given", async () => {
  const root = await disk(), files = { "go.tmpl": "{{ .Prompt }}" };
  const chat_template = "{% for m in messages %}{{ loop.index ~ m['content'] }}{% endfor %}";
  await writeTinyModel(root.folder("base"), { tokenizer: { chat_template } });
  await assert.rejects(
    run(root, "ollama runs/ember"),
    /--template: is missing: the model's chat template cannot/,
  );
  assert.deepEqual(await folderAt(root, "runs/ember").list(), []);
  await run(root, "ollama runs/ember --template go.tmpl", { files });
  assert.match(
    await readText(folderAt(root, "runs/ember/ollama"), "Modelfile"),
    /^TEMPLATE """\{\{ \.Prompt \}\}"""$/m,
  );
});

Deno.test("export lists what is wrong with the command line before it reads anything", async () => {
  const refused = async (args: string, ...lines: RegExp[]) => {
    const error = await run(new MemoryFolder("none"), args).then(() => null, (error: unknown) => error);
    assert.ok(error instanceof ConfigError, args);
    const messages = error.message.split("\n");
    assert.equal(messages.length, lines.length, error.message);
    lines.forEach((line, i) => assert.match(messages[i]!, line));
  };
  await refused("", /^FORMAT: is missing: name one of gguf/);
  await refused("ggfu m", /^"ggfu": is not a format: did you mean "gguf"/);
  await refused("toString m", /is not a format/);
  await refused("gguf", /^MODEL: is missing/);
  await refused(
    "gguf a b --type q3 --quantization 2bit",
    /^"b": is not expected/,
    /quantization: must be/,
    /type: must/,
  );
  await refused("gguf a --tpye f16", /did you mean "--type"/);
  await refused("gguf-lora a --type q8_0", /^--type: must be one of f32, f16/);
});
