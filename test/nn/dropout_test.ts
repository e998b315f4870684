/** Dropout inside an update: the base product sees all of x, backward the same draws as forward. */
import { dropoutNumbers } from "../../kernels/dropout/kernel.ts";
import { dropoutFactors } from "../../kernels/dropout/reference.ts";
import { registerTile } from "../../kernels/matmul/kernel.ts";
import { matmulBackwardFactor, matmulBackwardInput, matmulForward } from "../../kernels/matmul/reference.ts";
import { FrozenMatrix } from "../../src/nn/frozen_matrix.ts";
import { LoraLinear } from "../../src/nn/lora_linear.ts";
import { VARIANTS, type Variants } from "../../src/nn/variants.ts";
import { arithmetic, assertClose, exact } from "../helpers/close.ts";
import { loraForward, plus } from "../helpers/decoder_reference.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, TestProgram } from "../helpers/gpu.ts";
import { wide } from "../helpers/gradient.ts";

const SMALL = { forward: registerTile(2, 2, 4), backwardInput: registerTile(2, 2, 4) };
const CHOICES: readonly Variants[] = [
  { ...VARIANTS.software, ...SMALL, operands: "texture" },
  { ...VARIANTS.software, ...SMALL },
];
const DROPOUT = { rate: 0.4, stream: 77 };
const NUMBERS = { seed: 5, step: 2, firstToken: 3, lengths: Uint32Array.of(5, 2) };
const ROW_LENGTH = 5, SCALING = 1.5;

for (const variants of CHOICES) {
  onEachCompiler(
    `LoraLinear with dropout matches the f64 reference, ${variants.operands}`,
    async (adapter) => {
      const rows = 10, rank = 3;
      for (const [cols, inner] of [[13, 7], [12, 64]] as const) {
        const x = ramp(rows * inner),
          w = ramp(cols * inner, { phase: 1 }),
          dy = ramp(rows * cols, { phase: 2 });
        const before = ramp(rows * inner, { phase: 4 });
        const a = ramp(rank * inner, { phase: 5 }), b = ramp(cols * rank, { phase: 6 });
        using run = new TestProgram(adapter, variants);
        const matrix = new FrozenMatrix("w", cols, inner, adapter.gpu, variants);
        await matrix.load((first, count) => Promise.resolve(w.slice(first * inner, (first + count) * inner)));
        const parameter = (name: string, values: Float32Array<ArrayBuffer>, shape: number[]) => {
          const grad = run.holding(new Float32Array(values.length), shape);
          return { name, value: run.holding(values, shape), grad };
        };
        const low = { a: parameter("a", a, [rank, inner]), b: parameter("b", b, [cols, rank]) };
        const layer = new LoraLinear(matrix, { ...low, rank, scaling: SCALING, dropout: DROPOUT });
        const r = run.recorder, xs = run.holding(x, [rows, inner]), dys = run.holding(dy, [rows, cols]);
        const [y, yWhole] = [run.output([rows, cols]), run.output([rows, cols])];
        const [u, uAgain] = [run.output([rows, rank]), run.output([rows, rank])];
        const dx = run.output([rows, inner]), dxAdd = run.holding(before, [rows, inner]);
        r.copy(layer.forward(r, xs).y, yWhole); // nothing is drawn in evaluation
        r.draws = { numbers: run.holding(dropoutNumbers(NUMBERS)), rowLength: ROW_LENGTH };
        const forward = layer.forward(r, xs), again = layer.recompute(r, xs);
        r.copy(forward.y, y);
        r.copy(forward.saved.u!, u);
        r.copy(again.u!, uAgain);
        layer.backward(r, dys, forward.saved, dx, "set");
        layer.backward(r, dys, again, dxAdd, "accumulate");
        await run.run();

        const factors = dropoutFactors(NUMBERS, { ...DROPOUT, cols: inner, rowLength: ROW_LENGTH });
        const seen = factors.map((factor, i) => factor * x[i]!);
        const [wideA, wideB, wideDy] = [wide(a), wide(b), wide(dy)];
        const base = matmulForward(wide(x), wide(w), { rows, cols, inner });
        const wantU = matmulForward(seen, wideA, { rows, cols: rank, inner, scale: SCALING });
        const v = matmulBackwardInput(wideDy, wideB, { rows, cols: rank, inner: cols })
          .map((value) => SCALING * value);
        const dseen = matmulBackwardInput(v, wideA, { rows, cols: inner, inner: rank });
        const wantDx = plus(
          matmulBackwardInput(wideDy, wide(w), { rows, cols: inner, inner: cols }),
          dseen.map((value, i) => factors[i]! * value),
        );
        const wantA = matmulBackwardFactor(v, seen, { rows, leftCols: rank, rightCols: inner });
        const wantB = matmulBackwardFactor(wideDy, wantU, { rows, leftCols: cols, rightCols: rank });
        const tolerance = arithmetic("f32", "f32", inner + cols + rank);
        const whole = { a: wideA, b: wideB, rank, scaling: SCALING };
        assertClose(
          await run.read(yWhole),
          loraForward(wide(x), wide(w), { rows, cols, inner }, whole),
          tolerance,
        );
        assertClose(
          await run.read(y),
          plus(base, matmulForward(wantU, wideB, { rows, cols, inner: rank })),
          tolerance,
        );
        assertClose(await run.read(uAgain), await run.read(u), exact());
        assertClose(await run.read(dx), wantDx, tolerance);
        assertClose(await run.read(dxAdd), plus(wantDx, wide(before)), tolerance);
        assertClose(await run.read(low.a.grad), wantA.map((value) => 2 * value), tolerance); // two backwards
        assertClose(await run.read(low.b.grad), wantB.map((value) => 2 * value), tolerance);
        matrix.destroy();
      }
    },
  );
}
