import assert from "node:assert/strict";
import { defineKernel, read, write } from "../../src/gpu/kernel.ts";
import { Pacer } from "../../src/gpu/pacer.ts";
import { assertClose, exact } from "../helpers/close.ts";
import { onEachCompiler, onEveryAdapter, TestProgram } from "../helpers/gpu.ts";

/** y[i] = factor · y[i] + x[i] */
const scaleAdd = defineKernel({
  name: "scale_add",
  source: `
struct Params { count: u32, factor: f32, a: u32, b: u32, large: u32 }
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;
@compute @workgroup_size(1) fn main(@builtin(workgroup_id) group: vec3u) {
  let i = group.x;
  let right = params.a == 1u && params.b == 2u && params.large == 0xffffffffu;
  if (i < params.count && right) { y[i] = params.factor * y[i] + x[i]; }
}`,
  bindings: { y: write(), x: read() },
  params: { count: "u32", factor: "f32", a: "u32", b: "u32", large: "u32" },
  constants: {},
  grid: ({ count }) => [count],
  iterations: ({ a }) => a,
});
const PARAMS = { count: 3, factor: 2, a: 1, b: 2, large: 0xffffffff };

onEachCompiler(
  "a program runs the sections named, in the order named, as often as asked",
  async (adapter) => {
    using run = new TestProgram(adapter);
    const y = run.holding(Float32Array.of(1, 2, 3)), x = run.holding(Float32Array.of(10, 20, 30));
    const kept = run.output([3]);
    run.recorder.section("double");
    run.recorder.dispatch(scaleAdd, { y, x }, PARAMS);
    run.recorder.section("keep");
    run.recorder.copy(y, kept);
    run.recorder.section("clear");
    run.recorder.clear(y);
    const program = await run.recorder.build();
    assert.equal(program.dispatches, 1);
    program.run(["double"]);
    program.run(["keep", "clear", "double"]);
    assertClose(await run.read(kept), [12, 24, 36], exact());
    assertClose(await run.read(y), [10, 20, 30], exact());
    assert.throws(() => program.run(["triple"]), /Program "test" has no section "triple"/);
    assert.throws(() => run.recorder.section("keep"), /has a section "keep" already/);
  },
);

onEachCompiler(
  "a program goes in as many submissions as the pacer wants and its passes need, with the same result",
  async (adapter) => {
    const { queue } = adapter.gpu.device;
    const submissions = async (pacer: Pacer, copiesBetween: number) => {
      const gpu = new Proxy(adapter.gpu, {
        get(of, name) {
          const value = name === "pacer" ? pacer : Reflect.get(of, name, of);
          return typeof value === "function" ? value.bind(of) : value;
        },
      });
      using run = new TestProgram({ ...adapter, gpu });
      const y = run.holding(Float32Array.of(1, 2, 3)), x = run.holding(Float32Array.of(10, 20, 30));
      const aside = run.output([3]);
      for (let i = 0; i < 5; i++) run.recorder.dispatch(scaleAdd, { y, x }, PARAMS);
      for (let i = 0; i < copiesBetween; i++) {
        run.recorder.copy(x, aside); // ends a pass
        run.recorder.dispatch(scaleAdd, { y, x }, { ...PARAMS, factor: 1 });
      }
      const program = await run.recorder.build();
      let count = 0;
      queue.submit = (buffers) => (count++, Object.getPrototypeOf(queue).submit.call(queue, buffers));
      program.run();
      delete (queue as { submit?: unknown }).submit;
      assertClose(
        await run.read(y),
        [342, 684, 1026].map((v, i) => v + 10 * (i + 1) * copiesBetween),
        exact(),
      );
      return count;
    };
    assert.equal(await submissions(new Pacer(Infinity, 1e9), 0), 1);
    assert.equal(await submissions(new Pacer(1, 1e6), 0), 5);
    assert.equal(await submissions(new Pacer(Infinity, 1e9), 63), 1);
    assert.equal(await submissions(new Pacer(Infinity, 1e9), 64), 2); // 65 passes
    assert.equal(await submissions(new Pacer(Infinity, 1e9), 128), 3);
  },
);

onEachCompiler(
  "intermediates that share a slot keep their values as long as they are needed",
  async (adapter) => {
    using run = new TestProgram(adapter);
    const x = run.holding(Float32Array.of(1, 2, 3)), y = run.output([3]);
    const [a, b, c] = ["a", "b", "c"].map((label) => run.recorder.tensor(label, [3]));
    run.recorder.copy(x, a!);
    run.recorder.copy(a!, b!);
    run.recorder.dispatch(scaleAdd, { y: b!, x: a! }, PARAMS); // b = 3x
    run.recorder.copy(b!, c!); // a is free: c may lie there
    run.recorder.dispatch(scaleAdd, { y: c!, x: b! }, PARAMS); // c = 9x
    run.recorder.copy(c!, y);
    await run.run();
    assertClose(await run.read(y), [9, 18, 27], exact());
    assert.equal(run.resources.arena.bytes.buffers, 24);
  },
);

onEachCompiler(
  "recording refuses grids, loops, sizes and parameters that adapters would run wrongly",
  (adapter) => {
    using run = new TestProgram(adapter);
    const y = run.output([3]), x = run.output([3]), long = run.output([4]);
    const dispatch = (changes: Partial<typeof PARAMS>) =>
      run.recorder.dispatch(scaleAdd, { y, x }, { ...PARAMS, ...changes });
    assert.throws(() => dispatch({ count: 65_536 }), /"scale_add" over \[65536\] workgroups: .* 1\.\.65535/);
    assert.throws(() => dispatch({ count: 0 }), /over \[0\] workgroups/);
    assert.throws(() => dispatch({ a: 60_001 }), /would loop 60001 times: at most 60000 are safe/);
    assert.throws(() => dispatch({ b: -1 }), /takes "b" as u32: current value is -1/);
    assert.throws(() => dispatch({ b: 1.5 }), /takes "b" as u32: current value is 1.5/);
    assert.throws(() => dispatch({ large: 2 ** 32 }), /takes "large" as u32/);
    assert.throws(() => run.recorder.copy(y, long), /Cannot copy "output" to "output": sizes differ/);
  },
);

onEachCompiler(
  "a kernel that does not compile is named, with the message and the lines around it",
  async (adapter) => {
    const broken = defineKernel({
      ...scaleAdd,
      name: "broken",
      source: (scaleAdd.source as string).replace("let i = group.x;", "let i = group.x + missing_name;"),
    });
    using run = new TestProgram(adapter);
    run.recorder.dispatch(broken, { y: run.output([3]), x: run.output([3]) }, PARAMS);
    await assert.rejects(run.recorder.build(), (error: Error) => {
      assert.ok(error instanceof SyntaxError);
      assert.match(error.message, /^Cannot compile kernel "broken": 7:\d+ .*missing_name/);
      assert.match(error.message, /7 \| {3}let i = group\.x \+ missing_name;/);
      assert.match(error.message, /8 \| {3}let right/);
      return true;
    });
  },
);

onEachCompiler("the cache compiles each text once", async (adapter) => {
  const { pipelines } = adapter;
  const first = pipelines.get(scaleAdd as never, {}, {}),
    other = pipelines.get(scaleAdd as never, {}, { OTHER: 1 });
  assert.equal(pipelines.get(scaleAdd as never, {}, {}), first);
  assert.notEqual(other, first);
  assert.ok(pipelines.all.includes(first));
  await Promise.all([first.pipeline, other.pipeline]);
});

onEveryAdapter("a profile counts dispatches and their time by kernel", async (adapter) => {
  using run = new TestProgram(adapter);
  const y = run.holding(Float32Array.of(1, 2, 3)), x = run.holding(Float32Array.of(10, 20, 30));
  for (let i = 0; i < 3; i++) run.recorder.dispatch(scaleAdd, { y, x }, PARAMS);
  const program = await run.recorder.build();
  if (!adapter.gpu.features.has("timestamp-query")) {
    await assert.rejects(program.profile(), /Cannot profile on .* no timestamp queries/);
    return;
  }
  const [time, ...more] = (await program.profile()).byKernel();
  assert.deepEqual([time!.name, time!.dispatches, more.length], ["scale_add", 3, 0]);
  assert.ok(time!.ms >= 0 && time!.ms < 10_000);
  assertClose(await run.read(y), [78, 156, 234], exact());
}, ["deno"]);
