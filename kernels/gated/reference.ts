/** Slow f64 twins of the gated activation. */

/** g and g′ by name. */
const ACTIVATIONS = {
  silu: { g: (x: number) => x * sigmoid(x), slope: (x: number) => sigmoid(x) * (1 + x * (1 - sigmoid(x))) },
  gelu_tanh: {
    g: (x: number) => x / 2 * (1 + Math.tanh(inner(x))),
    slope: (x: number) => {
      const t = Math.tanh(inner(x));
      return t * t === 1 ? (1 + t) / 2 : (1 + t) / 2 + x / 2 * (1 - t * t) * ROOT * (1 + 3 * CUBE * x * x);
    },
  },
};

const ROOT = Math.sqrt(2 / Math.PI), CUBE = 0.044715;
const inner = (x: number) => ROOT * (x + CUBE * x ** 3);
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

export function gatedForward(
  gate: Float64Array,
  up: Float64Array,
  activation: keyof typeof ACTIVATIONS = "silu",
): Float64Array {
  return gate.map((x, i) => ACTIVATIONS[activation].g(x) * up[i]!);
}

export function gatedBackward(
  gate: Float64Array,
  up: Float64Array,
  dy: Float64Array,
  activation: keyof typeof ACTIVATIONS = "silu",
) {
  const { g, slope } = ACTIVATIONS[activation];
  return {
    dgate: gate.map((x, i) => dy[i]! * up[i]! * slope(x)),
    dup: gate.map((x, i) => dy[i]! * g(x)),
  };
}
