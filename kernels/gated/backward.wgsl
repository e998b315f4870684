// Gradients of the gated activation y = g(gate) * up.
//
//   dgate = dy * up * g'(gate)      dup = dy * g(gate)
//
// One invocation four columns.

struct Params { rows: u32, dgate_cols: u32, dup_cols: u32, gate_cols: u32, up_cols: u32, dy_cols: u32 }

@group(0) @binding(5) var<uniform> params: Params;  // all [R, F]

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let c = group.x * WORKGROUP_SIZE + local.x;
  let row = group.y + group.z * groups.y;
  if (4u * c >= params.dgate_cols || row >= params.rows) { return; }
  let gate = load_gate(row, c);
  let dy = load_dy(row, c);
  store_dgate(row, c, dy * load_up(row, c) * slope(gate));
  store_dup(row, c, dy * activation(gate));
}
