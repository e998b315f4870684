/**
 * The small step in TensorFlow.js. Its gradients are written out: the package that registers automatic ones does not load
 * in Deno. That spares it the tape.
 *
 * @module
 */
import { openTfjs, settleTfjs, type Tfjs, type TfTensor, type TfVariable } from "../tfjs.ts";
import { ADAMW, type Matrix, type MlpProblem, type MlpRunner, SCALING } from "./problem.ts";

interface Map {
  readonly weight: TfTensor;
  readonly a: TfVariable;
  readonly b: TfVariable;
}

/** Opens TensorFlow.js's own device. @throws {Error} If TensorFlow.js finds no WebGPU. */
export async function openTfjsMlp({ maps, x, target }: MlpProblem): Promise<MlpRunner> {
  const tf = await openTfjs();
  const place = ({ rows, cols, values }: Matrix) => tf.tensor2d(values, [rows, cols]);
  const layers = maps.map(({ name, weight, a, b }): Map => ({
    weight: place(weight),
    a: tf.variable(place(a), true, `${name} a`),
    b: tf.variable(place(b), true, `${name} b`),
  }));
  const data = { x: place(x), target: place(target) };
  const optimizer = tf.train.adam(ADAMW.learningRate, ADAMW.beta1, ADAMW.beta2, ADAMW.epsilon);
  let loss: TfTensor | null = null;
  return {
    name: "tfjs",
    step() {
      loss?.dispose();
      loss = tf.tidy(() => {
        const step = lossAndGradients(tf, layers, data);
        optimizer.applyGradients(step.gradients);
        return tf.keep(step.loss);
      });
    },
    settle: () => settleTfjs(tf),
    loss: async () => (await loss!.data())[0]!,
    async close() {
      await settleTfjs(tf);
      tf.dispose([...layers.flatMap(({ weight, a, b }) => [weight, a, b]), data.x, data.target]);
      loss?.dispose();
    },
  };
}

function lossAndGradients(
  tf: Tfjs,
  layers: readonly Map[],
  { x, target }: { x: TfTensor; target: TfTensor },
) {
  const [gate, up, down] = layers as readonly [Map, Map, Map];
  const g = forward(tf, gate, x), u = forward(tf, up, x);
  const sigmoid = tf.sigmoid(g.y), silu = tf.mul(g.y, sigmoid);
  const activated = tf.mul(silu, u.y);
  const d = forward(tf, down, activated);
  const error = tf.sub(d.y, target), share = 1 / target.size;
  const loss = tf.mul(tf.sum(tf.square(error)), share);

  const dy = tf.mul(error, 2 * share);
  const ofDown = backward(tf, down, activated, d.low, dy);
  const dactivated = tf.add(tf.matMul(dy, down.weight), tf.matMul(ofDown.v, down.a));
  const dup = tf.mul(dactivated, silu);
  // silu'(z) = σ(z)·(1 + z·(1 − σ(z)))
  const slope = tf.mul(sigmoid, tf.add(tf.mul(g.y, tf.sub(1, sigmoid)), 1));
  const dgate = tf.mul(tf.mul(dactivated, u.y), slope);
  const ofUp = backward(tf, up, x, u.low, dup), ofGate = backward(tf, gate, x, g.low, dgate);
  return { loss, gradients: { ...ofDown.gradients, ...ofUp.gradients, ...ofGate.gradients } };
}

/** y = x·W0ᵀ + u·Bᵀ, u = s·x·Aᵀ */
function forward(tf: Tfjs, { weight, a, b }: Map, x: TfTensor): { y: TfTensor; low: TfTensor } {
  const low = tf.mul(tf.matMul(x, a, false, true), SCALING);
  return { y: tf.add(tf.matMul(x, weight, false, true), tf.matMul(low, b, false, true)), low };
}

/** v = s·dy·B, dB = dyᵀ·u, dA = vᵀ·x */
function backward(tf: Tfjs, { a, b }: Map, x: TfTensor, low: TfTensor, dy: TfTensor) {
  const v = tf.mul(tf.matMul(dy, b), SCALING);
  return { v, gradients: { [b.name]: tf.matMul(dy, low, true), [a.name]: tf.matMul(v, x, true) } };
}
