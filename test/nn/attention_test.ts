import * as reference from "../../kernels/attention/reference.ts";
import { Attention } from "../../src/nn/attention.ts";
import { attentionSpans } from "../../src/nn/attention_spans.ts";
import { VARIANTS } from "../../src/nn/variants.ts";
import { arithmetic, assertClose } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, TestProgram } from "../helpers/gpu.ts";
import { wide } from "../helpers/gradient.ts";

const SIZES = { heads: 6, kvHeads: 2, headDim: 8 };
const ROW = { rowLength: 13, lengths: [13, 9], window: 4, documents: [[6, 7], [9]] };

for (const name of ["llvmpipe", "software", "hardware"] as const) {
  for (const options of [{}, { scale: 0.2, softcap: 1.1 }]) {
    const title = `Attention ${JSON.stringify(options)} matches the f64 reference, ${name} variant`;
    onEachCompiler(title, async (adapter) => {
      const { heads, kvHeads, headDim } = SIZES, { rowLength } = ROW;
      const batch = ROW.lengths.length, rows = batch * rowLength;
      const spans = attentionSpans(ROW);
      const [q, k, v, dout] = [heads, kvHeads, kvHeads, heads].map((count, phase) =>
        ramp(rows * count * headDim, { phase })
      ) as [
        Float32Array<ArrayBuffer>,
        Float32Array<ArrayBuffer>,
        Float32Array<ArrayBuffer>,
        Float32Array<ArrayBuffer>,
      ];
      using run = new TestProgram(adapter, VARIANTS[name]);
      const layer = new Attention({ ...SIZES, ...options }), r = run.recorder;
      const held = (values: Float32Array<ArrayBuffer>) => run.holding(values, [rows, values.length / rows]);
      const seen = run.holding(spans, [rows, 2]);
      const { y, saved } = layer.forward(r, { q: held(q), k: held(k), v: held(v) }, seen, rowLength);
      const gradients = layer.backward(r, held(dout), saved, seen, rowLength);
      const kept = [y, gradients.dq, gradients.dk, gradients.dv].map((from) => {
        const to = run.output(from.shape);
        r.copy(from, to);
        return to;
      });
      await run.run();
      const shape = { ...SIZES, scale: headDim ** -0.5, ...options, batch, rowLength, spans };
      const back = reference.attentionBackward(wide(q), wide(k), wide(v), wide(dout), shape);
      const out = reference.attentionForward(wide(q), wide(k), wide(v), shape);
      for (const [i, want] of [out, back.dq, back.dk, back.dv].entries()) {
        assertClose(await run.read(kept[i]!), want, arithmetic("f32", "f32", rowLength * heads + headDim));
      }
    });
  }
}
