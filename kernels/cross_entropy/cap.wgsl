// y = cap * tanh(x / cap), element by element: logits as they are sampled from.
//
// One invocation four columns.

struct Params { rows: u32, y_cols: u32, x_cols: u32, cap: f32 }

@group(0) @binding(2) var<uniform> params: Params;  // y, x [R, V]

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let c = group.x * WORKGROUP_SIZE + local.x;
  let row = group.y + group.z * groups.y;
  if (4u * c >= params.y_cols || row >= params.rows) { return; }
  store_y(row, c, capped(load_x(row, c)));
}
