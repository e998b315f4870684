import { embed } from "../../src/nn/embedding.ts";
import { FrozenMatrix } from "../../src/nn/frozen_matrix.ts";
import { VARIANTS } from "../../src/nn/variants.ts";
import { assertClose, exact } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, TestProgram } from "../helpers/gpu.ts";

for (const [name, variants] of [["textures", VARIANTS.llvmpipe], ["buffers", VARIANTS.software]] as const) {
  onEachCompiler(
    `FrozenMatrix.load() puts each piece of a large weight in its place, ${name}`,
    async (adapter) => {
      const rows = 20, cols = 16_384, values = ramp(rows * cols); // 1.25 MiB, uploaded in pieces of 256 KiB
      const matrix = new FrozenMatrix("w", rows, cols, adapter.gpu, variants);
      const pieces: number[][] = [];
      await matrix.load((first, count) => {
        pieces.push([first, count]);
        return Promise.resolve(values.slice(first * cols, (first + count) * cols));
      });
      const ids = [0, 15, 16, 19];
      using run = new TestProgram(adapter, variants);
      const y = run.output([ids.length, cols]);
      run.recorder.copy(embed(run.recorder, matrix, run.holding(Uint32Array.from(ids))), y);
      await run.run();
      assertClose(pieces.flat(), [0, 4, 4, 4, 8, 4, 12, 4, 16, 4], exact());
      const want = ids.flatMap((id) => [...values.subarray(id * cols, (id + 1) * cols)]);
      assertClose(await run.read(y), want, exact());
      matrix.destroy();
    },
  );
}
