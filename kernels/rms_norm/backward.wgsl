// Gradient of root mean square normalisation with respect to its input; the weight is frozen.
//
//   g_rc   = dy_rc * weight_c
//   dx_rc += rstd_r * (g_rc - x_rc * rstd_r^2 * mean_c(g_rc * x_rc))
//
// Adds to dx, which holds the gradient that reaches x by the residual path. One workgroup a row.

struct Params { rows: u32, cols: u32 }

@group(0) @binding(0) var<storage, read_write> dx: array<f32>;  // [R, C]
@group(0) @binding(1) var<storage, read> dy: array<f32>;        // [R, C]
@group(0) @binding(2) var<storage, read> x: array<f32>;         // [R, C]
@group(0) @binding(3) var<storage, read> weight: array<f32>;    // [C]
@group(0) @binding(4) var<storage, read> rstd: array<f32>;      // [R]
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let row = group.x + group.y * groups.x;
  if (row >= params.rows) { return; }
  let first = row * params.cols;
  var products = 0.0;
  for (var c = lane.x; c < params.cols; c += WORKGROUP_SIZE) {
    products += dy[first + c] * weight[c] * x[first + c];
  }
  let r = rstd[row];
  let pull = r * r * row_sum(lane.x, products) / f32(params.cols);
  for (var c = lane.x; c < params.cols; c += WORKGROUP_SIZE) {
    dx[first + c] += r * (dy[first + c] * weight[c] - x[first + c] * pull);
  }
}
