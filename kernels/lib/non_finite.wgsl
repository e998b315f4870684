// True for NaN and both infinities, by the exponent bits: shader compilers may assume that no NaN occurs, so a
// comparison such as x != x proves nothing.
fn non_finite(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7f800000u) == 0x7f800000u;
}

fn any_non_finite(x: vec4f) -> bool {
  return any((bitcast<vec4u>(x) & vec4u(0x7f800000u)) == vec4u(0x7f800000u));
}
