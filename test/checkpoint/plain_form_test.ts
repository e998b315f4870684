import assert from "node:assert/strict";
import { type Adapter, loraKey, loraUpdates } from "../../src/checkpoint/adapter.ts";
import { fromPlainForm, plainForm } from "../../src/checkpoint/plain_form.ts";
import { ResidualWeights } from "../../src/checkpoint/residual_weights.ts";
import { ramp } from "../helpers/fill.ts";

const Q = "model.layers.0.self_attn.q_proj", UP = "model.layers.0.mlp.up_proj";
const SHAPES: readonly (readonly [string, number, number, number])[] = [[Q, 2, 5, 7], [UP, 3, 4, 5]];

/** A map by name and rank, A and B filled by phase. */
function factors(phase: number): Map<string, { shape: number[]; data: Float32Array }> {
  return new Map(SHAPES.flatMap(([path, rank, rows, cols], i) => [
    [loraKey(path, "A"), { shape: [rank, cols], data: ramp(rank * cols, { phase: phase + i }) }],
    [loraKey(path, "B"), { shape: [rows, rank], data: ramp(rows * rank, { phase: phase + i + 0.5 }) }],
  ]));
}

const TRAINED: Adapter = {
  config: {
    baseModel: null,
    rank: 2,
    alpha: 4,
    dropout: 0,
    init: "pissa",
    targetModules: ["q_proj", "up_proj"],
    rankPattern: { up_proj: 3 },
    alphaPattern: { up_proj: 1 },
  },
  tensors: factors(0),
};
const INITIAL = new Map([...factors(2)].map(([name, { data }]) => [name, data]));

/** W + s·B·A of a map in f64. */
function updated(weight: Float32Array, adapter: Adapter, path: string): number[] {
  const { loraA, loraB, rank, scaling } = loraUpdates(adapter).get(`${path}.weight`)!;
  const cols = loraA.length / rank;
  return Array.from(weight, (value, at) => {
    for (let k = 0; k < rank; k++) {
      value += scaling * loraB[Math.floor(at / cols) * rank + k]! * loraA[k * cols + at % cols]!;
    }
    return value;
  });
}

for (const useRslora of [false, true]) {
  Deno.test(`the plain form on the base computes what the run did on what was left of it, ${useRslora ? "" : "not "}rank-stabilised`, () =>
    checkPlain(useRslora));
}

async function checkPlain(useRslora: boolean): Promise<void> {
  const trained = { ...TRAINED, config: { ...TRAINED.config, useRslora } };
  const base = new Map(
    SHAPES.map(([path, , rows, cols]) => [`${path}.weight`, ramp(rows * cols, { phase: 3 })]),
  );
  base.set("model.norm.weight", ramp(3));
  const readF32 = (name: string) => Promise.resolve(base.get(name)!.slice());
  const readRowsF32 = (name: string, first: number, count: number) => {
    const cols = SHAPES.find(([path]) => `${path}.weight` === name)![3];
    return Promise.resolve(base.get(name)!.slice(first * cols, (first + count) * cols));
  };
  const strength = (rank: number, alpha: number) => ({
    rank,
    scaling: alpha / (useRslora ? Math.sqrt(rank) : rank),
  });
  const targets = new Map([[Q, strength(2, 4)], [UP, strength(3, 1)]]);
  const residual = new ResidualWeights({ readF32, readRowsF32 }, targets);
  assert.throws(() => residual.initial, /not known yet/);
  residual.begin(INITIAL);
  const plain = plainForm(trained, INITIAL);
  for (const [path, , rows, cols] of SHAPES) {
    const name = `${path}.weight`, left = await residual.readF32(name);
    const [first, rest] = [
      await residual.readRowsF32(name, 0, 2),
      await residual.readRowsF32(name, 2, rows - 2),
    ];
    assert.deepEqual([...first, ...rest], [...left]);
    assert.equal(left.length, rows * cols);
    const want = updated(left, trained, path), got = updated(base.get(name)!, plain, path);
    got.forEach((value, i) =>
      assert.ok(Math.abs(value - want[i]!) < 1e-6, `${path} ${i}: ${value}, ${want[i]}`)
    );
  }
  assert.deepEqual(await residual.readF32("model.norm.weight"), base.get("model.norm.weight"));
  assert.equal(residual.formatOf("model.norm.weight"), null);
}

Deno.test("plainForm() doubles ranks and alphas and begins plainly; fromPlainForm() undoes it", () => {
  const plain = plainForm(TRAINED, INITIAL), { init: _, ...config } = TRAINED.config;
  const doubled = { rank: 4, alpha: 8, rankPattern: { up_proj: 6 }, alphaPattern: { up_proj: 2 } };
  assert.deepEqual(plain.config, { ...config, ...doubled });
  const { adapter, initial } = fromPlainForm(plain);
  assert.deepEqual(adapter, { config, tensors: TRAINED.tensors });
  assert.deepEqual(initial, INITIAL);
});
