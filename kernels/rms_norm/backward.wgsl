// Gradient of root mean square normalisation with respect to its input.
//
//   g_ic  = dy_ic * (offset + weight_c)
//   dx_ic = addend_ic + rstd_i * (g_ic - x_ic * rstd_i^2 * mean_c(g_ic * x_ic))
//
// The addend is the gradient that reaches x by the residual path; without one ADDEND is 0. ROW_LANES lanes share a head,
// as in forward.

struct Params {
  rows: u32, heads: u32, dx_cols: u32, dy_cols: u32, x_cols: u32, weight_cols: u32, addend_cols: u32, offset: f32
}

@group(0) @binding(5) var<storage, read> rstd: array<f32>;  // [R, H]
@group(0) @binding(6) var<uniform> params: Params;          // dx, dy, x, addend [R, H * C], weight [C]

fn weighted(row: u32, at: u32, c: u32) -> vec4f {
  return load_dy(row, at) * (params.offset + load_weight(0u, c));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let i = (group.x + group.y * groups.x) * (WORKGROUP_SIZE / ROW_LANES) + local.x / ROW_LANES;
  let lane = local.x % ROW_LANES;
  let row = i / params.heads;
  let first = (i % params.heads) * (params.weight_cols / 4u);
  let vectors = select(0u, (params.weight_cols + 3u) / 4u, row < params.rows);
  var products = 0.0;
  for (var c = lane; c < vectors; c += ROW_LANES) {
    products += dot(weighted(row, first + c, c), load_x(row, first + c));
  }
  let r = rstd[min(i, params.rows * params.heads - 1u)];
  let pull = r * r * row_sum(local.x, products) / f32(params.weight_cols);
  for (var c = lane; c < vectors; c += ROW_LANES) {
    let at = first + c;
    var dx = r * (weighted(row, at, c) - load_x(row, at) * pull);
    if (ADDEND == 1u) { dx += load_addend(row, at); }
    store_dx(row, at, dx);
  }
}
