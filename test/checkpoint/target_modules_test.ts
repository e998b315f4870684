import assert from "node:assert/strict";
import { formatTargetRules, parseTargetRules } from "../../src/checkpoint/target_fields.ts";
import { pythonRegex } from "../../src/checkpoint/python_regex.ts";
import { targetIssues } from "../../src/checkpoint/target_issues.ts";
import {
  matchTargets,
  strengthOf,
  type TargetRules,
  targetRulesOf,
} from "../../src/checkpoint/target_modules.ts";
import golden from "../golden/targets.json" with { type: "json" };

const PATHS = [
  "model.layers.0.self_attn.q_proj",
  "model.layers.0.mlp.up_proj",
  "model.layers.10.self_attn.q_proj",
  "model.layers.10.mlp.up_proj",
];

for (const { model, setting, updates } of golden.cases) {
  Deno.test(`${model} with ${JSON.stringify(setting)}: PEFT's maps, ranks and scalings`, () => {
    const fail = (key: string, wanted: string) => new Error(`${key}: ${wanted}`);
    const rules = parseTargetRules(setting, fail) as TargetRules;
    const found = matchTargets(rules, golden.paths[model as keyof typeof golden.paths]).map((path) => {
      const { rank, scaling } = strengthOf({ ...rules, rank: golden.r, alpha: golden.lora_alpha }, path);
      return [path, [rank, scaling]];
    });
    assert.deepEqual(Object.fromEntries(found), updates);
    assert.deepEqual(parseTargetRules(formatTargetRules(rules), fail), sorted(rules));
  });
}

/** As written: lists of modules in order. */
function sorted({ targetModules, excludeModules, ...rules }: TargetRules): TargetRules {
  const inOrder = (modules: TargetRules["targetModules"]) =>
    typeof modules === "string" ? modules : modules.toSorted();
  return {
    ...rules,
    targetModules: inOrder(targetModules),
    ...(excludeModules ? { excludeModules: inOrder(excludeModules) } : {}),
  };
}

const MODULES = [...PATHS, "model.embed_tokens", "model.norm", "lm_head"];

const list = (...targetModules: string[]) => ({ targetModules });

Deno.test("matchTargets() passes by what means nothing, and refuses where nothing is left", () => {
  assert.deepEqual(matchTargets(list("q_proj", "qkv_proj"), PATHS), [PATHS[0], PATHS[2]]);
  assert.deepEqual(matchTargets({ targetModules: "ALL-Linear" }, PATHS), PATHS);
  assert.throws(() => matchTargets(list("proj"), PATHS), {
    name: "RangeError",
    message:
      /LoRA to \["proj"\] as no linear map[^]*takes "all-linear", a list of q_proj, up_proj, or of paths such as/,
  });
  assert.throws(
    () => matchTargets({ targetModules: "q_proj" }, PATHS),
    /regular expression for the whole path/,
  );
  assert.throws(
    () => matchTargets({ ...list("q_proj"), excludeModules: ["q_proj"] }, PATHS),
    /once the others are left out/,
  );
});

Deno.test("targetIssues() names every entry that means nothing, by its option", () => {
  const cases: readonly [Partial<TargetRules>, RegExp][] = [
    [list("q_proj", "qproj"), /^target_modules: .*"qproj" as no linear map.*q_proj, up_proj/],
    [{ targetModules: "q_proj" }, /^target_modules: .*"q_proj" as no linear map/],
    [{ targetModules: "(" }, /^target_modules: Cannot read "\(" as a regular expression/],
    [{ targetModules: "(?x) a" }, /flag "x" is not supported/],
    [{ excludeModules: ["o_proj"] }, /^exclude_modules: Cannot leave out "o_proj"/],
    [
      { layersToTransform: [0, 12] },
      /^layers_to_transform: must be layers of the model, 0\.\.1.*value is 12$/,
    ],
    [{ layersToTransform: [0], layersPattern: ["h"] }, /^layers_pattern: must be what stands before.*"h"/],
    [
      { ...list("0.mlp.up_proj"), layersToTransform: [10] },
      /^target_modules: .*no linear map of the model is meant/,
    ],
    [
      { modulesToSave: ["head", "lm"] },
      /^modules_to_save: must be names of.*embed_tokens, norm, lm_head: .*value is lm$/,
    ],
    [{ modulesToSave: ["q_proj", "up_proj"] }, /^target_modules: .*no linear map of the model is meant/],
    [{ rankPattern: { v_proj: 4 } }, /^rank_pattern: .*"v_proj" means no map that gets an update/],
    [{ ...list("q_proj"), alphaPattern: { up_proj: 4 } }, /^alpha_pattern: .*"up_proj" means no map/],
    [
      { rankPattern: { q_proj: 4, "layers\\.0\\..*": 2 } },
      /^rank_pattern: must give "model\.layers\.0\.self_attn\.q_proj" one value: keys "q_proj" and "layers/,
    ],
  ];
  for (const [rules, message] of cases) {
    const issues = targetIssues({ targetModules: "all-linear", ...rules }, PATHS, MODULES);
    assert.equal(issues.length, 1, JSON.stringify(issues));
    assert.match(`${issues[0]!.path}: ${issues[0]!.message}`, message);
  }
  const fine = { rankPattern: { q_proj: 4, "layers\\.0\\..*q_proj": 4 }, layersToTransform: [10, 0] };
  assert.deepEqual(targetIssues({ ...list("q_proj", "0.mlp.up_proj"), ...fine }, PATHS, MODULES), []);
});

Deno.test("targetRulesOf() leaves out what is null or empty", () => {
  const none = { excludeModules: null, layersToTransform: [], layersPattern: null, rankPattern: {} };
  assert.deepEqual(targetRulesOf({ targetModules: "all-linear", ...none }), { targetModules: "all-linear" });
});

Deno.test("pythonRegex() reads what Python spells otherwise and refuses what JavaScript has not", () => {
  const cases: readonly [string, string, boolean][] = [
    [String.raw`\Aab\Z`, "ab", true],
    [String.raw`(?P<x>a)(?P=x)`, "aa", true],
    [String.raw`(?P<x>a)(?P=x)`, "ab", false],
    ["a{,2}", "aa", true],
    ["a{,2}", "aaa", false],
    ["[]a]+", "]a", true],
    ["[^]a]", "]", false],
    [String.raw`[(?P<x>\]]`, "P", true],
    ["a(?#words)b", "ab", true],
    ["(?i)A|b", "B", true],
    ["a|ab", "ab", true],
  ];
  for (const [pattern, text, matches] of cases) {
    assert.equal(pythonRegex(pattern, true).test(text), matches, `${pattern} on ${text}`);
  }
  assert.equal(pythonRegex("ab", false).test("abc"), true);
  assert.equal(pythonRegex("bc", false).test("abc"), false);
  assert.throws(() => pythonRegex("(?>a)b", true), { name: "SyntaxError", message: /atomic group/ });
});
