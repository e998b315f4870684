import assert from "node:assert/strict";
import { InterruptedError } from "../../src/cli/exit_codes.ts";
import { SpeedMeter } from "../../src/cli/generate.ts";
import type { WritingModel } from "../../src/cli/io.ts";
import { runCommand } from "../../src/cli/run.ts";
import type { Message } from "../../src/data/formats.ts";
import { ConfigError } from "../../src/errors.ts";
import type { TextOptions, TextPiece } from "../../src/generate/text.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { device } from "../helpers/device.ts";
import { writeTinyModel } from "../helpers/tiny_model.ts";
import { fakeIo, type FakeIoOptions } from "./fake_io.ts";

/** A model that answers prompt n with its own words, each a piece; the rows come in turns. */
class FakeModel implements WritingModel {
  readonly inputs: (string | readonly Message[])[] = [];
  readonly options: TextOptions[] = [];
  closed = 0;

  /** `fail` is thrown after the first piece of each answer. */
  constructor(
    readonly answers: readonly (readonly string[])[],
    readonly fail: (() => unknown) | null = null,
    readonly hasTemplate = true,
  ) {}

  promptOf(input: string | readonly Message[]): number[] {
    if (typeof input !== "string" && !this.hasTemplate) {
      throw new ConfigError([{ path: "chat_template", message: "is missing" }]);
    }
    this.inputs.push(input);
    return [this.inputs.length];
  }

  async *generate(prompts: readonly (readonly number[])[], options: TextOptions): AsyncGenerator<TextPiece> {
    this.options.push(options);
    const turn = this.options.length - 1;
    for (let step = 0;; step++) {
      let open = false;
      // the last prompt first: answers must be put in order
      for (let row = prompts.length - 1; row >= 0; row--) {
        const words = this.answers[prompts.length === 1 ? turn : row]!;
        if (step >= words.length) continue;
        const end = step + 1 === words.length ? "stop" as const : null;
        open ||= end === null;
        yield await Promise.resolve({ row, text: words[step]!, end });
        const failure = this.fail?.();
        if (failure) throw failure;
      }
      if (!open) return;
    }
  }

  close(): void {
    this.closed++;
  }
}

const GENERATE = ["generate", "--model", "m"];

async function run(args: string[], options: FakeIoOptions = {}) {
  const fake = fakeIo(options);
  const code = await runCommand(args, fake.io);
  return { code, out: fake.stdout.text, err: fake.stderr.text, requests: fake.requests };
}

Deno.test("generate streams one answer, ends its line and tells the speed on standard error", async () => {
  const model = new FakeModel([["Once", " upon"]]);
  const args = [
    ...GENERATE,
    "--adapter",
    "a",
    "--prompt",
    "Tell",
    "--top-k",
    "40",
    "--seed=7",
    "--temperature",
    "1.5",
  ];
  const { code, out, err, requests } = await run(args, { model });
  assert.deepEqual([code, out], [0, "Once upon\n"]);
  assert.match(err, /^2 tokens(, \S+ tok\/s)? \(the first after 0\.\d s\)\n$/);
  assert.deepEqual(requests, [
    {
      model: "m",
      adapter: "a",
      chatTemplate: null,
      quantization: "none",
      plugins: [],
      gpu: null,
      requireGpu: false,
    },
  ]);
  assert.deepEqual(model.inputs, ["Tell"]);
  const { temperature, topK, topP, seed, maxNewTokens, showSpecialTokens } = model.options[0]!;
  assert.deepEqual([temperature, topK, topP, seed, maxNewTokens, showSpecialTokens], [
    1.5,
    40,
    1,
    7,
    256,
    false,
  ]);
  assert.equal(model.closed, 1);
});

Deno.test("generate --quantization asks for a base in fewer bits, and refuses other words", async () => {
  const { requests } = await run([...GENERATE, "--quantization", "4bit", "--prompt", "x"], {
    model: new FakeModel([["x"]]),
  });
  assert.equal(requests[0]!.quantization, "4bit");
  const { code, err } = await run([...GENERATE, "--quantization", "q4", "--prompt", "x"]);
  assert.equal(code, 2);
  assert.match(err, /^error: --quantization must be one of none, 4bit, 8bit: current value is "q4"/);
});

Deno.test("generate is greedy by default, reads standard input, and adds nothing with --raw", async () => {
  const model = new FakeModel([["x"]]);
  const { out, err } = await run([...GENERATE, "--raw", "-q"], { model, input: "a\nb\n" });
  assert.deepEqual([out, err], ["x", ""]);
  assert.deepEqual(model.inputs, ["a\nb"]);
  assert.deepEqual([model.options[0]!.temperature, model.options[0]!.showSpecialTokens], [0, true]);
});

Deno.test("generate --chat asks as a user, after a system message", async () => {
  const model = new FakeModel([["x"]]);
  await run([...GENERATE, "--chat", "--system", "Be brief.", "--prompt", "Hi"], { model });
  assert.deepEqual(model.inputs, [[
    { role: "system", content: "Be brief." },
    { role: "user", content: "Hi" },
  ]]);
});

Deno.test("generate --prompt-file answers in the order of the lines, as text or as JSON", async () => {
  const files = { "p.txt": "one\n\ntwo\r\n" };
  const answers = [["1", " a", "!"], ["2\n"]];
  const args = [...GENERATE, "-q", "--prompt-file", "p.txt"];
  const plain = await run(args, { model: new FakeModel(answers), files });
  assert.equal(plain.out, "--- 1\n1 a!\n--- 2\n2\n");
  const json = await run([...args, "--json"], { model: new FakeModel(answers), files });
  assert.deepEqual(json.out.trimEnd().split("\n").map((line) => JSON.parse(line)), [
    { prompt: "one", text: "1 a!", new_tokens: 3, end: "stop" },
    { prompt: "two", text: "2\n", new_tokens: 1, end: "stop" },
  ]);
});

Deno.test("generate --prompt-file takes every shape of row, and leaves the last answer to the model", async () => {
  const user: Message = { role: "user", content: "q" }, said: Message = { role: "assistant", content: "a" };
  const rows = ["s", { prompt: "p" }, { text: "t" }, { messages: [user, said] }, {
    messages: [user, said, user],
  }];
  const files = { "p.jsonl": rows.map((row) => JSON.stringify(row)).join("\n") };
  const model = new FakeModel(rows.map(() => ["x"]));
  await run([...GENERATE, "--prompt-file", "p.jsonl"], { model, files });
  assert.deepEqual(model.inputs, ["s", "p", "t", [user], [user, said, user]]);
});

Deno.test("generate lists every bad row of a prompt file and exits 3", async () => {
  const files = { "p.jsonl": '"fine"\n{"messages": []}\n{oops', "empty.txt": "\n" };
  const { code, err, requests } = await run([...GENERATE, "--prompt-file", "p.jsonl"], { files });
  assert.deepEqual([code, requests.length], [3, 0]);
  assert.match(
    err,
    /^error: p\.jsonl:2: is no prompt: a string, .+\nerror: p\.jsonl:3: is not JSON \(.+\)\nhint: /,
  );
  const empty = await run([...GENERATE, "--prompt-file", "empty.txt"], { files });
  assert.match(empty.err, /^error: empty\.txt: holds no prompt: write one a line\n/);
});

Deno.test("generate names every wrong flag at once, exits 2 and loads nothing", async () => {
  const wrong = [
    "generate",
    "--temperature",
    "hot",
    "--top-p",
    "0",
    "--max-new-tokens",
    "1.5",
    "--system",
    "x",
  ];
  const { code, err, requests } = await run(wrong, { isTerminal: true, env: { NO_COLOR: "1" } });
  assert.deepEqual([code, requests.length], [2, 0]);
  assert.equal(
    err,
    "error: --model is missing: name the folder of a base model\n" +
      "error: --prompt is missing: give it, or --prompt-file, or text on standard input\n" +
      'error: --temperature must be 0 or more: current value is "hot"\n' +
      'error: --top-p must be above 0 and at most 1: current value is "0"\n' +
      'error: --max-new-tokens must be a whole number of 1 or more: current value is "1.5"\n' +
      'hint: "lowrank help" lists the commands, "lowrank generate --help" the options\n',
  );
  assert.match(
    (await run([...GENERATE, "--promt", "x"])).err,
    /^error: --promt is not a flag: did you mean "--prompt"\?\n/,
  );
  assert.match(
    (await run([...GENERATE, "--prompt", "a", "--prompt-file", "b"])).err,
    /^error: --prompt-file cannot be given together with --prompt\n/,
  );
  assert.match(
    (await run([...GENERATE, "--prompt", "a", "--system", "b"])).err,
    /^error: --system needs --chat: plain text has no system message\n/,
  );
  assert.match(
    (await run([...GENERATE, "--prompt-file", "gone.txt"])).err,
    /^error: --prompt-file cannot be read from "gone\.txt": no such file\n/,
  );
});

Deno.test("generate exits with the code of what it met, after ending the line it was writing", async () => {
  assert.equal((await run([...GENERATE, "--prompt", "x"])).code, 4);
  const model = new FakeModel([["Once", "upon"]], () => new InterruptedError("SIGINT"));
  const { code, out, err } = await run([...GENERATE, "--prompt", "x"], { model });
  assert.deepEqual([code, out, err], [130, "Once\n", "error: interrupted by SIGINT\n"]);
  assert.equal(model.closed, 1);
});

Deno.test("SpeedMeter counts the wait for the first token apart", () => {
  let now = 1000;
  const meter = new SpeedMeter(() => now);
  assert.equal(meter.line(), "0 tokens (the first after 0.0 s)");
  now += 800;
  meter.count();
  assert.equal(meter.line(), "1 token (the first after 0.8 s)");
  for (let i = 0; i < 30; i++) {
    now += 50;
    meter.count();
  }
  assert.equal(meter.line(), "31 tokens, 20 tok/s (the first after 0.8 s)");
});

const CHAT = ["chat", "--model", "m", "-q"];

Deno.test("chat remembers what was said until /reset, and keeps the system message", async () => {
  const model = new FakeModel([["Hi", "!"], ["Fine."], ["New."]]);
  const input = "hello\n\nhow?\n/reset\n/what\nagain\n/exit\nnever\n";
  const { code, out, err } = await run([...CHAT, "--system", "S", "--seed", "5"], { model, input });
  assert.deepEqual([code, out, err], [0, "Hi!\nFine.\nNew.\n", "there are /reset and /exit\n"]);
  const system = { role: "system", content: "S" }, hello = { role: "user", content: "hello" };
  assert.deepEqual(model.inputs.slice(1), [
    [system, hello],
    [system, hello, { role: "assistant", content: "Hi!" }, { role: "user", content: "how?" }],
    [system, { role: "user", content: "again" }],
  ]);
  assert.deepEqual(model.options.map(({ seed }) => seed), [5, 6, 7], "each answer draws other numbers");
  assert.ok(model.options.every(({ reuseCache, temperature }) => reuseCache && temperature === 0.7));
  assert.equal(model.closed, 1);
});

Deno.test("chat asks with a prompt sign on a terminal and says how to leave", async () => {
  const { out, err } = await run(["chat", "-m", "m"], {
    model: new FakeModel([["Hi"]]),
    input: "a\n",
    isTerminal: true,
    env: { NO_COLOR: "1" },
  });
  assert.equal(out, "> Hi\n> ");
  assert.match(err, /^\/reset forgets the conversation, \/exit or Ctrl-D ends it\n1 token /);
});

Deno.test("chat goes on after Ctrl-C with the part that was said, and after a question that is too long", async () => {
  let pieces = 0;
  const failures = [
    new InterruptedError("SIGINT"),
    new ConfigError([{ path: "prompt", message: "is too long" }]),
  ];
  const model = new FakeModel([["So", "on"], ["?"], ["Yes."]], () => failures[pieces++]);
  const { code, out, err } = await run(CHAT, { model, input: "a\nb\nc\n" });
  assert.deepEqual([code, out], [0, "So\n?Yes.\n"]);
  assert.equal(err, "error: prompt is too long: /reset starts anew\n");
  assert.deepEqual(model.inputs.at(-1), [
    { role: "user", content: "a" },
    { role: "assistant", content: "So" },
    { role: "user", content: "c" },
  ]);
  const ended = new FakeModel([["So"]], () => new InterruptedError("SIGTERM"));
  assert.equal((await run(CHAT, { model: ended, input: "a\n" })).code, 143);
});

Deno.test("chat ends at a signal while it waits for a question", async () => {
  const model = new FakeModel([]);
  const fake = fakeIo({ model, interruptBy: "SIGINT" });
  fake.io.stdin.line = () => new Promise(() => {});
  assert.deepEqual([await runCommand(CHAT, fake.io), model.closed], [130, 1]);
  assert.equal(fake.stderr.text, "error: interrupted by SIGINT\n");
});

Deno.test("chat with a model that has no chat template exits 2 before the first question", async () => {
  const model = new FakeModel([], null, false);
  const { code, out, err } = await run(CHAT, { model, input: "a\n" });
  assert.deepEqual([code, out], [2, ""]);
  assert.match(err, /^error: chat_template is missing\nhint: .*"lowrank chat --help"/);
  assert.equal(model.closed, 1);
});

Deno.test("--help of generate and chat fits 100 columns and names every flag and exit code", async () => {
  for (const verb of ["generate", "chat"]) {
    const { code, out } = await run([verb, "--help"]);
    assert.equal(code, 0);
    assert.match(out, new RegExp(`^lowrank ${verb}: .+\\n\\nUsage: lowrank ${verb} --model MODEL`));
    for (const text of ["--adapter PATH", "--top-p N", "--color auto", "130  interrupted"]) {
      assert.ok(out.includes(text));
    }
    for (const line of out.split("\n")) assert.ok(line.length <= 100, line);
    assert.equal((await run(["help", verb])).out, out);
  }
  assert.match((await run(["chat", "--help"])).out, /--temperature N .*\(default 0\.7\)/);
});

Deno.test({
  name: `generate and chat write with a model on disk, in processes of their own${
    device ? "" : " (no adapter)"
  }`,
  ignore: !device,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "lowrank-generate-" });
    try {
      await writeTinyModel(new LocalFolder(`${folder}/base`));
      const root = new URL("../../", import.meta.url).pathname;
      const lowrank = async (args: string[], input = "") => {
        const permissions = ["--no-prompt", "--allow-read", "--allow-write", "--allow-env", "--allow-sys"];
        const child = new Deno.Command(Deno.execPath(), {
          args: ["run", "--config", `${root}deno.json`, ...permissions, `${root}src/main.ts`, ...args],
          cwd: folder,
          env: { NO_COLOR: "1" },
          stdin: "piped",
          stdout: "piped",
          stderr: "piped",
        }).spawn();
        const writer = child.stdin.getWriter();
        await writer.write(new TextEncoder().encode(input));
        await writer.close();
        const { code, stdout, stderr } = await child.output();
        const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
        return { code, out: text(stdout), err: text(stderr) };
      };
      const short = ["--model", "base", "--max-new-tokens", "3", "--repetition-penalty", "9"];
      const first = await lowrank(["generate", ...short, "--json"], "ab");
      assert.equal(first.code, 0, first.err);
      const { prompt, new_tokens, end } = JSON.parse(first.out);
      assert.deepEqual([prompt, new_tokens, end], ["ab", 3, "length"]);
      assert.match(first.err, /^3 tokens.* \(the first after \d+\.\d s\)$/m);
      assert.equal((await lowrank(["generate", ...short, "--json"], "ab")).out, first.out, "greedy repeats");

      const talk = await lowrank(["chat", ...short, "--temperature", "0"], "hé\n/reset\nhé\n");
      assert.equal(talk.code, 0, talk.err);
      const half = talk.out.length / 2;
      assert.ok(half > 0);
      assert.equal(
        talk.out.slice(0, half),
        talk.out.slice(half),
        "after /reset the same question has the same answer",
      );

      const missing = await lowrank(["generate", "--model", "nowhere", "--prompt", "x"]);
      assert.equal(missing.code, 4);
      assert.match(missing.err, /^error: Cannot find a model at "nowhere": /m);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
