// Running log-sum-exp of rows of logits, one shard of the vocabulary after another, and the target's logit.
//
//   m <- max(m, max_c l_c)      s <- s * exp(m_old - m) + sum_c exp(l_c - m)
//
// One workgroup a row. A logit that is not finite raises flags[0].

struct Params { rows: u32, shard_cols: u32, first_id: u32, first_row: u32 }

@group(0) @binding(0) var<storage, read_write> state: array<f32>;          // [rows, 3]: m, s, logit of the target
@group(0) @binding(1) var<storage, read_write> flags: array<atomic<u32>>;  // [1]
@group(0) @binding(2) var<storage, read> logits: array<f32>;               // [rows, shard_cols]
@group(0) @binding(3) var<storage, read> targets: array<u32>;              // token ids from first_row on
@group(0) @binding(4) var<uniform> params: Params;

const LOWEST = -3.4e38;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let row = group.x;
  let first = row * params.shard_cols;
  var largest = LOWEST;
  var bad = false;
  for (var c = lane.x; c < params.shard_cols; c += WORKGROUP_SIZE) {
    let logit = logits[first + c];
    bad = bad || non_finite(logit);
    largest = max(largest, logit);
  }
  if (bad) { atomicOr(&flags[0], 1u); }
  let is_first_shard = params.first_id == 0u;
  let old_m = select(state[3u * row], LOWEST, is_first_shard);
  let old_s = select(state[3u * row + 1u], 0.0, is_first_shard);
  let m = max(old_m, row_max(lane.x, largest));
  var sum = 0.0;
  for (var c = lane.x; c < params.shard_cols; c += WORKGROUP_SIZE) { sum += exp(logits[first + c] - m); }
  let s = old_s * exp(old_m - m) + row_sum(lane.x, sum);
  if (lane.x == 0u) {
    state[3u * row] = m;
    state[3u * row + 1u] = s;
    let id = targets[params.first_row + row];
    if (id >= params.first_id && id - params.first_id < params.shard_cols) {
      state[3u * row + 2u] = logits[first + id - params.first_id];
    }
  }
}
