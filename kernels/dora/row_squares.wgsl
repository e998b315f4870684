// squares_o = Σ_c w_oc²: what of a row's norm a frozen weight decides. ROW_LANES lanes share a row.

struct Params { rows: u32, w_cols: u32 }

@group(0) @binding(0) var<storage, read_write> squares: array<f32>;  // [O]
@group(0) @binding(2) var<uniform> params: Params;                   // w [O, I]

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let row = (group.x + group.y * groups.x) * (WORKGROUP_SIZE / ROW_LANES) + local.x / ROW_LANES;
  let lane = local.x % ROW_LANES;
  let inside = row < params.rows;
  let vectors = select(0u, (params.w_cols + 3u) / 4u, inside);
  var sum = 0.0;
  for (var c = lane; c < vectors; c += ROW_LANES) {
    let w = load_w(row, c);
    sum += dot(w, w);
  }
  let all = row_sum(local.x, sum);
  if (inside && lane == 0u) { squares[row] = all; }
}
