// g and its derivative, by ACTIVATION: 0 is silu(x) = x * sigmoid(x), 1 is gelu in its tanh form (Hendrycks & Gimpel 2016):
//
//   gelu(x) = x / 2 * (1 + tanh u)      u = sqrt(2 / pi) * (x + 0.044715 x^3)
//
// Arguments of exp and tanh are bounded where the result no longer changes: larger ones overflow on some drivers.

const ROOT = 0.7978845608028654;
const CUBE = 0.044715;

fn sigmoid(x: vec4f) -> vec4f { return 1.0 / (1.0 + exp(-max(x, vec4f(-87.0)))); }

fn bounded(x: vec4f) -> vec4f { return clamp(x, vec4f(-12.0), vec4f(12.0)); }

fn gelu_tanh(x: vec4f) -> vec4f {
  let b = bounded(x);
  return tanh(bounded(ROOT * (b + CUBE * b * b * b)));
}

fn activation(x: vec4f) -> vec4f {
  if (ACTIVATION == 0u) { return x * sigmoid(x); }
  return 0.5 * x * (1.0 + gelu_tanh(x));
}

fn slope(x: vec4f) -> vec4f {
  if (ACTIVATION == 0u) {
    let s = sigmoid(x);
    return s * (1.0 + x * (1.0 - s));
  }
  let b = bounded(x);
  let t = gelu_tanh(x);
  return 0.5 * (1.0 + t) + 0.5 * b * (1.0 - t * t) * ROOT * (1.0 + 3.0 * CUBE * b * b);
}
