// True for NaN and both infinities, by the exponent bits: shader compilers may assume that no NaN occurs, so a
// comparison such as x != x proves nothing.
fn non_finite(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7f800000u) == 0x7f800000u;
}
