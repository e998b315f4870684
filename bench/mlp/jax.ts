/**
 * The small step in jax-js: loss, gradient and AdamW in one traced function, `jit(valueAndGrad(loss) and update)`.
 *
 * @module
 */
import { type Jax, type JaxArray, openJax } from "../jax.ts";
import { ADAMW, type Matrix, type MlpProblem, type MlpRunner, SCALING } from "./problem.ts";

/** Opens jax-js's own device. @throws {Error} If jax-js finds no WebGPU. */
export async function openJaxMlp({ maps, x, target }: MlpProblem): Promise<MlpRunner> {
  const jax = await openJax();
  const { blockUntilReady, numpy } = jax;
  const place = ({ rows, cols, values }: Matrix) => numpy.array(values).reshape([rows, cols]);
  const zeros = ({ rows, cols }: Matrix) => place({ rows, cols, values: new Float32Array(rows * cols) });
  const factors = maps.flatMap(({ a, b }) => [a, b]);
  const fixed = [...maps.map(({ weight }) => place(weight)), place(x), place(target)];
  let state = [factors.map(place), factors.map(zeros), factors.map(zeros)];
  await blockUntilReady([...state, fixed]);
  const update = traceStep(jax, factors.length);
  let steps = 0, losses: JaxArray[] = [];
  const settle = async () => {
    await blockUntilReady([losses, ...state]);
    for (const loss of losses.splice(0, losses.length - 1)) loss.dispose();
  };
  return {
    name: "jax-js",
    step() {
      steps++;
      const corrections = [ADAMW.beta1, ADAMW.beta2].map((beta) =>
        numpy.array(Float32Array.of(1 - beta ** steps))
      );
      const [loss, ...next] = update(state, fixed.map(({ ref }) => ref), corrections);
      losses.push(loss);
      state = next;
    },
    settle,
    async loss() {
      await settle();
      return (await losses[0]!.ref.data())[0]!;
    },
    async close() {
      await settle();
      for (const array of [...losses, ...state.flat(), ...fixed]) array.dispose();
      losses = [];
      update.dispose();
    },
  };
}

/** (state, fixed, corrections) -> [loss, values, m, v]. A call gives its inputs away, so that each is used by `ref` but once. */
function traceStep({ jit, valueAndGrad, numpy, nn }: Jax, factors: number) {
  const map = (x: JaxArray, weight: JaxArray, a: JaxArray, b: JaxArray) => {
    const low = numpy.matmul(numpy.matmul(x.ref, a.transpose()), b.transpose()).mul(SCALING);
    return numpy.matmul(x, weight.transpose()).add(low);
  };
  const lossOf = (p: JaxArray[], fixed: JaxArray[]): JaxArray => {
    const [gate, up, down, x, target] = fixed as [JaxArray, JaxArray, JaxArray, JaxArray, JaxArray];
    const activated = nn.silu(map(x.ref, gate, p[0]!, p[1]!)).mul(map(x, up, p[2]!, p[3]!));
    return numpy.square(map(activated, down, p[4]!, p[5]!).sub(target)).mean();
  };
  return jit((state: JaxArray[][], fixed: JaxArray[], corrections: JaxArray[]) => {
    const [values, m, v] = state as [JaxArray[], JaxArray[], JaxArray[]];
    const [loss, gradients] = valueAndGrad(lossOf)(values.map(({ ref }) => ref), fixed);
    const next: [JaxArray[], JaxArray[], JaxArray[]] = [[], [], []];
    for (let i = 0; i < factors; i++) {
      const g = gradients[i]!;
      const mean = m[i]!.mul(ADAMW.beta1).add(g.ref.mul(1 - ADAMW.beta1));
      const square = v[i]!.mul(ADAMW.beta2).add(numpy.square(g).mul(1 - ADAMW.beta2));
      const root = numpy.sqrt(square.ref.div(corrections[1]!.ref)).add(ADAMW.epsilon);
      const step = mean.ref.div(corrections[0]!.ref).div(root).mul(ADAMW.learningRate);
      next[0].push(values[i]!.sub(step));
      next[1].push(mean);
      next[2].push(square);
    }
    return [loss, ...next] as [JaxArray, JaxArray[], JaxArray[], JaxArray[]];
  });
}
