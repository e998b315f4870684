// z = l, or cap * tanh(l / cap) where SOFTCAP is 1. The argument of tanh is bounded where the result no longer changes:
// larger ones overflow on some drivers.
fn capped(l: vec4f) -> vec4f {
  if (SOFTCAP == 0u) { return l; }
  return params.cap * tanh(clamp(l / params.cap, vec4f(-12.0), vec4f(12.0)));
}

// dz/dl = 1 - tanh^2(l / cap), from z.
fn capped_slope(z: vec4f) -> vec4f {
  if (SOFTCAP == 0u) { return vec4f(1.0); }
  let t = z / params.cap;
  return 1.0 - t * t;
}
