// Gradients of the gated activation y = silu(gate) * up, with s = sigmoid(gate).
//
//   dup   = dy * gate * s
//   dgate = dy * up * s * (1 + gate * (1 - s))
//
// dup overwrites up and dgate overwrites gate: neither is needed after this.

struct Params { count: u32 }

@group(0) @binding(0) var<storage, read_write> gate: array<f32>;  // becomes dgate
@group(0) @binding(1) var<storage, read_write> up: array<f32>;    // becomes dup
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let i = (group.x + group.y * groups.x) * WORKGROUP_SIZE + lane.x;
  if (i >= params.count) { return; }
  let g = gate[i];
  let s = 1.0 / (1.0 + exp(-g));
  let d = dy[i];
  gate[i] = d * up[i] * s * (1.0 + g * (1.0 - s));
  up[i] = d * g * s;
}
