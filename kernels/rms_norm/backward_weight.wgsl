// Gradient of root mean square normalisation with respect to its weight, over some of the rows.
//
//   dweight_c += sum_i dy_ic * x_ic * rstd_i      over the heads i of rows first_row .. first_row + rows
//
// One invocation four columns, heads in order: a run repeats bit for bit.

struct Params { first_row: u32, rows: u32, heads: u32, cols: u32, dy_cols: u32, x_cols: u32 }

@group(0) @binding(0) var<storage, read_write> dweight: array<f32>;  // [C]
@group(0) @binding(3) var<storage, read> rstd: array<f32>;           // [R, H]
@group(0) @binding(4) var<uniform> params: Params;                   // dy, x [R, H * C]

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let c = group.x * WORKGROUP_SIZE + local.x;
  if (4u * c >= params.cols) { return; }
  var sum = vec4f(0.0);
  for (var row = params.first_row; row < params.first_row + params.rows; row++) {
    for (var head = 0u; head < params.heads; head++) {
      let at = head * (params.cols / 4u) + c;
      sum = fma(load_dy(row, at), load_x(row, at) * rstd[row * params.heads + head], sum);
    }
  }
  for (var j = 0u; j < min(4u, params.cols - 4u * c); j++) { dweight[4u * c + j] += sum[j]; }
}
