// Root mean square normalisation (Zhang & Sennrich 2019), one workgroup a row.
//
//   rstd_r = (mean_c x_rc^2 + eps)^(-1/2)      saved for backward
//   y_rc   = x_rc * rstd_r * weight_c

struct Params { rows: u32, cols: u32, eps: f32 }

@group(0) @binding(0) var<storage, read_write> y: array<f32>;     // [R, C]
@group(0) @binding(1) var<storage, read_write> rstd: array<f32>;  // [R]
@group(0) @binding(2) var<storage, read> x: array<f32>;           // [R, C]
@group(0) @binding(3) var<storage, read> weight: array<f32>;      // [C]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let row = group.x + group.y * groups.x;
  if (row >= params.rows) { return; }
  let first = row * params.cols;
  var squares = 0.0;
  for (var c = lane.x; c < params.cols; c += WORKGROUP_SIZE) { squares += x[first + c] * x[first + c]; }
  let scale = inverseSqrt(row_sum(lane.x, squares) / f32(params.cols) + params.eps);
  for (var c = lane.x; c < params.cols; c += WORKGROUP_SIZE) { y[first + c] = x[first + c] * scale * weight[c]; }
  if (lane.x == 0u) { rstd[row] = scale; }
}
