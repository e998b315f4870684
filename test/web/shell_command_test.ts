import assert from "node:assert/strict";
import { parseFlags, TRAIN_FLAGS } from "../../src/cli/flags.ts";
import { resolveConfig } from "../../src/cli/sources.ts";
import { parseFineTuneJobConfig } from "../../src/config.ts";
import defaults from "../../web/defaults.json" with { type: "json" };
import { commandOptions, shellCommand } from "../../web/page/shell_command.ts";

Deno.test("shellCommand() is a command whose flags give the page's job", () => {
  const values = {
    ...defaults,
    base_model: "device/models/stories/stories260K.gguf",
    training_data_path: "device/data/it's mine.jsonl",
    eval_data_path: null,
    quantization: "4bit",
    exact_match: false,
    target_modules: ["q_proj", "v_proj"],
    rank_pattern: { q_proj: 8 },
    sample_prompts: ["Who, me?", "It's you"],
    column_mapping: { prompt: "question", completion: "answer" },
  };
  const command = shellCommand(values);
  assert.match(command, /^\.\/lowrank train \\\n {2}--base-model stories\/stories260K\.gguf \\\n/);
  assert.match(command, /--training-data-path 'it'\\''s mine\.jsonl' \\\n/);
  const words = command.replaceAll("\\\n", " ").replace("./lowrank train", "")
    .match(/'(?:[^']|'\\'')*'|\S+/g)!.map((word) =>
      word.replaceAll("'\\''", "\u0000").replaceAll("'", "").replaceAll("\u0000", "'")
    );
  const flags = parseFlags(words, TRAIN_FLAGS);
  assert.deepEqual(flags.issues, []);
  const { config } = resolveConfig({ flags: Object.fromEntries(flags.values), env: {} });
  assert.deepEqual(config, parseFineTuneJobConfig(commandOptions(values)));
});
