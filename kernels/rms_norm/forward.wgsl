// Root mean square normalisation (Zhang & Sennrich 2019) of each head of each row; a row of one head is normed whole.
//
//   rstd_i = (mean_c x_ic^2 + eps)^(-1/2)      saved for backward
//   y_ic   = x_ic * rstd_i * (offset + weight_c)
//
// ROW_LANES lanes share a head and walk over it in vectors of four columns; what lies beyond its last column is zero.
// Where rows have several heads, their width is a multiple of 4.

struct Params { rows: u32, heads: u32, y_cols: u32, x_cols: u32, weight_cols: u32, offset: f32, eps: f32 }

@group(0) @binding(1) var<storage, read_write> rstd: array<f32>;  // [R, H]
@group(0) @binding(4) var<uniform> params: Params;                // y, x [R, H * C], weight [C]

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let i = (group.x + group.y * groups.x) * (WORKGROUP_SIZE / ROW_LANES) + local.x / ROW_LANES;
  let lane = local.x % ROW_LANES;
  let row = i / params.heads;
  let inside = row < params.rows;
  let first = (i % params.heads) * (params.weight_cols / 4u);
  let vectors = select(0u, (params.weight_cols + 3u) / 4u, inside);
  var squares = 0.0;
  for (var c = lane; c < vectors; c += ROW_LANES) {
    let x = load_x(row, first + c);
    squares += dot(x, x);
  }
  let scale = inverseSqrt(row_sum(local.x, squares) / f32(params.weight_cols) + params.eps);
  for (var c = lane; c < vectors; c += ROW_LANES) {
    store_y(row, first + c, load_x(row, first + c) * scale * (params.offset + load_weight(0u, c)));
  }
  if (inside && lane == 0u) { rstd[i] = scale; }
}
