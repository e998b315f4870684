// Gated activation of the feed-forward block (Shazeer 2020), element by element.
//
//   y = g(gate) * up
//
// One invocation four columns.

struct Params { rows: u32, y_cols: u32, gate_cols: u32, up_cols: u32 }

@group(0) @binding(3) var<uniform> params: Params;  // y, gate, up [R, F]

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let c = group.x * WORKGROUP_SIZE + local.x;
  let row = group.y + group.z * groups.y;
  if (4u * c >= params.y_cols || row >= params.rows) { return; }
  store_y(row, c, activation(load_gate(row, c)) * load_up(row, c));
}
