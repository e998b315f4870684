/** Slow f64 twins of SwiGLU. */

export function swigluForward(gate: Float64Array, up: Float64Array): Float64Array {
  return gate.map((g, i) => g / (1 + Math.exp(-g)) * up[i]!);
}

export function swigluBackward(gate: Float64Array, up: Float64Array, dy: Float64Array) {
  const sigmoid = gate.map((g) => 1 / (1 + Math.exp(-g)));
  return {
    dgate: gate.map((g, i) => dy[i]! * up[i]! * sigmoid[i]! * (1 + g * (1 - sigmoid[i]!))),
    dup: gate.map((g, i) => dy[i]! * g * sigmoid[i]!),
  };
}
