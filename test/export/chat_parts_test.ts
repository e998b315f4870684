import assert from "node:assert/strict";
import { ChatTemplate } from "../../src/data/chat_template.ts";
import type { Message } from "../../src/data/formats.ts";
import { type ChatParts, chatParts, joinedParts } from "../../src/export/chat_parts.ts";
import { goTemplate, modelfile } from "../../src/export/modelfile.ts";
import { CHAT_TEMPLATE } from "../helpers/tiny_tokenizer.ts";

/** Templates in the manner of the families', written for this test. */
const TEMPLATES: Readonly<Record<string, string>> = {
  chatml: CHAT_TEMPLATE,
  "chatml with a default system message":
    "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}{{ '<|im_start|>system\nBe good.<|im_end|>\n' }}" +
    "{% endif %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] | trim + '<|im_end|>' + '\n' }}{% endfor %}" +
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
  "system in the first user turn":
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set pre = messages[0]['content'] + '\n\n' %}" +
    "{% set rest = messages[1:] %}{% else %}{% set pre = '' %}{% set rest = messages %}{% endif %}{% for m in rest %}" +
    "{% if m['role'] == 'assistant' %}{% set role = 'model' %}{% else %}{% set role = 'user' %}{% endif %}" +
    "{{ '<turn>' + role + '\n' + (pre if loop.first else '') + m['content'] | trim + '</turn>\n' }}{% endfor %}" +
    "{% if add_generation_prompt %}{{ '<turn>model\n' }}{% endif %}",
  "no system message, an end token after answers":
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}" +
    "{% elif m['role'] == 'assistant' %}{{ ' ' + m['content'] + eos_token }}{% else %}" +
    "{{ raise_exception('users and assistants alone') }}{% endif %}{% endfor %}",
  "system before the last user turn":
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' }}{% if loop.last and messages[0]['role'] == 'system' %}" +
    "{{ messages[0]['content'] + '\n\n' }}{% endif %}{{ m['content'] + '[/INST]' }}{% elif m['role'] == 'assistant' %}" +
    "{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}",
  "an end token where nothing follows":
    "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{% endfor %}" +
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
  "quotes and braces":
    "{% for m in messages %}{{ '\"{{' + m['role'] + '}}\"  ' + m['content'] + '\\\\ \t' }}{% endfor %}" +
    "{% if add_generation_prompt %}{{ '\"{{assistant}}\"  ' }}{% endif %}",
};

const TOKENS = { bosToken: "<s>", eosToken: "</s>" };

const CHATS: readonly (readonly Message[])[] = [
  ["user:Hi"],
  ["user:Hi", "assistant:Hello\n\nyou", "user:Again"],
  ["system:Be\nbrief", "user:Hi"],
  ["system:Be brief", "user:1", "assistant:2", "user:3", "assistant:4", "user:{{ 5 }}"],
].map((turns) =>
  turns.map((turn) => {
    const at = turn.indexOf(":");
    return { role: turn.slice(0, at), content: turn.slice(at + 1) } as Message;
  })
);

function partsOf(name: string): { template: ChatTemplate; parts: ChatParts } {
  const template = new ChatTemplate(TEMPLATES[name]!, TOKENS), parts = chatParts(template, "<s>");
  assert.ok(parts, name);
  return { template, parts };
}

/** The text that Jinja gives, without the BOS that the program puts there; null where it refuses. */
function wanted(template: ChatTemplate, chat: readonly Message[]): string | null {
  try {
    return template.render(chat, true).replace(/^<s>/, "");
  } catch {
    return null;
  }
}

for (const name of Object.keys(TEMPLATES)) {
  Deno.test(`chatParts() gives the text of the template: ${name}`, () => {
    const { template, parts } = partsOf(name);
    for (const chat of CHATS) {
      const want = wanted(template, chat);
      const dropped = chat[0]!.role === "system" && parts.system === null;
      if (dropped) assert.notEqual(joinedParts(parts, chat), want);
      else assert.equal(joinedParts(parts, chat), want);
    }
  });
}

Deno.test("chatParts() tells a system message of its own from one in the user's turn", () => {
  assert.deepEqual(partsOf("chatml").parts, {
    head: "",
    system: { before: "<|start|>system\n", after: "<|end|>\n", inUserTurn: false },
    user: { before: "<|start|>user\n", after: "<|end|>\n" },
    assistant: { before: "<|start|>assistant\n", after: "<|end|>\n" },
    prompt: "<|start|>assistant\n",
  });
  const folded = partsOf("system in the first user turn").parts;
  assert.deepEqual(folded.system, { before: "<turn>user\n", after: "\n\n", inUserTurn: true });
  for (const name of ["no system message, an end token after answers", "system before the last user turn"]) {
    assert.equal(partsOf(name).parts.system, null);
  }
});

Deno.test("chatParts() gives up on a template that fixed texts cannot make", () => {
  const numbered =
    "{% for m in messages %}{{ loop.index ~ m['role'] ~ m['content'] }}{% endfor %}{{ 'end' }}";
  const shouting = "{% for m in messages %}{{ m['role'] ~ m['content'] | upper }}{% endfor %}";
  for (const source of [numbered, shouting]) {
    assert.equal(chatParts(new ChatTemplate(source, TOKENS), null), null);
  }
});

Deno.test("modelfile() quotes what it is given and refuses what cannot be quoted", () => {
  const facts = {
    from: "./a.gguf",
    adapter: null,
    template: "{{ .Prompt }}",
    system: "Be brief.",
    stops: ["</s>", 'a"b'],
  };
  assert.equal(
    modelfile(facts),
    'FROM ./a.gguf\nTEMPLATE """{{ .Prompt }}"""\nSYSTEM """Be brief."""\nPARAMETER stop "</s>"\n',
  );
  const adapter = {
    ...facts,
    from: "smollm2",
    adapter: "./lora.gguf",
    template: null,
    system: null,
    stops: [],
  };
  assert.equal(modelfile(adapter), "FROM smollm2\nADAPTER ./lora.gguf\n");
  assert.throws(() => modelfile({ ...facts, system: 'say """' }), {
    name: "RangeError",
    message: /the system message/,
  });
});

/** Runs a Go template as Ollama does: system messages are joined, and stand among the messages too. */
const PROGRAM = `package main
import ("encoding/json"; "os"; "strings"; "text/template")
type message struct { Role, Content string }
func main() {
  var jobs []struct { Template string; Chats [][]message }
  if err := json.NewDecoder(os.Stdin).Decode(&jobs); err != nil { panic(err) }
  texts := [][]string{}
  for _, job := range jobs {
    parsed := template.Must(template.New("").Parse(job.Template))
    row := []string{}
    for _, chat := range job.Chats {
      system := []string{}
      for _, m := range chat { if m.Role == "system" { system = append(system, m.Content) } }
      var out strings.Builder
      values := map[string]any{"System": strings.Join(system, "\\n\\n"), "Messages": chat}
      if err := parsed.Execute(&out, values); err != nil { panic(err) }
      row = append(row, out.String())
    }
    texts = append(texts, row)
  }
  json.NewEncoder(os.Stdout).Encode(texts)
}
`;

const hasGo = await new Deno.Command("go", { args: ["version"], stdout: "null", stderr: "null" }).output()
  .then(({ success }) => success, () => false);

Deno.test({
  name: `goTemplate() renders in Go what the Jinja renders${hasGo ? "" : " (no go)"}`,
  ignore: !hasGo,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "lowrank-go-" });
    try {
      await Deno.writeTextFile(`${folder}/main.go`, PROGRAM);
      const names = Object.keys(TEMPLATES), all = names.map(partsOf);
      // an answer that has begun is gone on with
      const begun: Message[] = [{ role: "user", content: "Hi" }, { role: "assistant", content: "Well" }];
      const chats = [...CHATS, begun];
      const jobs = all.map(({ parts }) => ({ template: goTemplate(parts), chats }));
      const child = new Deno.Command("go", {
        args: ["run", "main.go"],
        cwd: folder,
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(JSON.stringify(jobs)));
      await writer.close();
      const { stdout, stderr, success } = await child.output();
      assert.ok(success, new TextDecoder().decode(stderr));
      const texts = JSON.parse(new TextDecoder().decode(stdout)) as string[][];
      for (const [i, { template, parts }] of all.entries()) {
        for (const [j, chat] of CHATS.entries()) {
          const want = wanted(template, chat);
          const dropped = chat[0]!.role === "system" && parts.system === null;
          if (!dropped) assert.equal(texts[i]![j], want, names[i]!);
        }
        const open = joinedParts({ ...parts, prompt: "" }, begun.slice(0, 1)) + parts.assistant.before +
          "Well";
        assert.equal(texts[i]!.at(-1), open, names[i]!);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
