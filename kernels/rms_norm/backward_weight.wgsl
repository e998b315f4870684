// Gradient of root mean square normalisation with respect to its weight.
//
//   dweight_c += sum_r dy_rc * x_rc * rstd_r
//
// One invocation a column, rows in order: a run repeats bit for bit.

struct Params { rows: u32, cols: u32 }

@group(0) @binding(0) var<storage, read_write> dweight: array<f32>;  // [C]
@group(0) @binding(1) var<storage, read> dy: array<f32>;             // [R, C]
@group(0) @binding(2) var<storage, read> x: array<f32>;              // [R, C]
@group(0) @binding(3) var<storage, read> rstd: array<f32>;           // [R]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let c = group.x * WORKGROUP_SIZE + lane.x;
  if (c >= params.cols) { return; }
  var sum = 0.0;
  for (var r = 0u; r < params.rows; r++) {
    sum = fma(dy[r * params.cols + c], x[r * params.cols + c] * rstd[r], sum);
  }
  dweight[c] += sum;
}
