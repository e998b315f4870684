// Gradient of the mean cross-entropy with respect to one shard of the logits, in place.
//
//   dl_c = (exp(l_c - m) / s - [c is the target]) * scalars[0]       scalars[0] = 1 / labelled tokens of the step
//
// Rows whose target is NO_TARGET are filler: their gradient is zero. One workgroup a row.

struct Params { rows: u32, shard_cols: u32, first_id: u32, first_row: u32 }

@group(0) @binding(0) var<storage, read_write> logits: array<f32>;  // [rows, shard_cols], becomes dlogits
@group(0) @binding(1) var<storage, read> state: array<f32>;         // [rows, 3]: m, s, logit of the target
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read> scalars: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

const NO_TARGET = 0xffffffffu;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let row = group.x;
  let first = row * params.shard_cols;
  let id = targets[params.first_row + row];
  let m = state[3u * row];
  let weight = select(scalars[0], 0.0, id == NO_TARGET);
  let scale = weight / state[3u * row + 1u];
  for (var c = lane.x; c < params.shard_cols; c += WORKGROUP_SIZE) {
    let hit = select(0.0, weight, params.first_id + c == id);
    logits[first + c] = exp(logits[first + c] - m) * scale - hit;
  }
}
