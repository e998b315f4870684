import assert from "node:assert/strict";
import { adapterTargets } from "../../src/checkpoint/adapter_targets.ts";

const LAYERS = [0, 1, 10].flatMap((i) => [`layers.${i}.self_attn.q_proj`, `layers.${i}.mlp.up_proj`]);
const IN_FILES = LAYERS.map((path) => `language_model.model.${path}`);
const IN_MODULES = LAYERS.map((path) => `model.language_model.${path}`);
const EYES = "model.vision_tower.encoder.layers.0.self_attn.q_proj";

/** Those that PEFT would take, by `re.fullmatch`. */
const taken = (expression: unknown, paths: readonly string[]) =>
  paths.filter((path) => new RegExp(`^(?:${expression})$`).test(path));

Deno.test("adapterTargets() leaves targets as they are where the model is the whole checkpoint", () => {
  assert.equal(adapterTargets({ targetModules: "all-linear" }, LAYERS, null).targetModules, "all-linear");
  const rules = { targetModules: ["q_proj"], layersToTransform: [1], rankPattern: { q_proj: 2 } };
  assert.deepEqual(adapterTargets(rules, LAYERS, null), rules);
});

Deno.test("adapterTargets() means the same maps by the names of files and of modules, and none of the eyes", () => {
  const cases = [
    ["all-linear", LAYERS],
    [["q_proj"], LAYERS.filter((path) => path.endsWith("q_proj"))],
    [["0.mlp.up_proj"], ["layers.0.mlp.up_proj"]],
    [IN_FILES.slice(0, 1), ["layers.0.self_attn.q_proj"]],
    [String.raw`.*\.1\..*`, ["layers.1.self_attn.q_proj", "layers.1.mlp.up_proj"]],
  ] as const;
  for (const [targets, wanted] of cases) {
    const expression = adapterTargets({ targetModules: targets }, IN_FILES, "language_model").targetModules;
    assert.equal(typeof expression, "string");
    assert.deepEqual(taken(expression, IN_FILES), wanted.map((path) => `language_model.model.${path}`));
    assert.deepEqual(
      taken(expression, [...IN_MODULES, EYES]),
      wanted.map((path) => `model.language_model.${path}`),
    );
  }
});

Deno.test("adapterTargets() puts what is left out and the layers into the expression, and keeps the rest", () => {
  const rules = { targetModules: "all-linear", excludeModules: ["q_proj"], layersToTransform: [0, 10] };
  const { targetModules, ...others } = adapterTargets(
    { ...rules, rankPattern: { up_proj: 2 } },
    IN_FILES,
    "language_model",
  );
  assert.deepEqual(others, { rankPattern: { up_proj: 2 } });
  const wanted = ["layers.0.mlp.up_proj", "layers.10.mlp.up_proj"];
  assert.deepEqual(
    taken(targetModules, [...IN_MODULES, EYES]),
    wanted.map((path) => `model.language_model.${path}`),
  );
});
