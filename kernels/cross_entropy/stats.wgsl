// Running log-sum-exp of rows of logits, one shard of the vocabulary after another, and the target's logit.
//
//   z_c = l_c, or cap * tanh(l_c / cap)
//   m <- max(m, max_c z_c)      s <- s * exp(m_old - m) + sum_c exp(z_c - m)
//
// ROW_LANES lanes share a row. A logit that is not finite raises flags[0].

struct Params { rows: u32, logits_cols: u32, first_id: u32, first_row: u32, cap: f32 }

@group(0) @binding(0) var<storage, read_write> state: array<f32>;          // [rows, 3]: m, s, z of the target
@group(0) @binding(1) var<storage, read_write> flags: array<atomic<u32>>;  // [1]
@group(0) @binding(3) var<storage, read> targets: array<u32>;              // token ids from first_row on
@group(0) @binding(4) var<uniform> params: Params;                         // logits [rows, shard]

const LOWEST = -3.4e38;

// Columns beyond the shard are lower than all others: they are no maximum and add nothing to the sum.
fn shard(row: u32, c: u32) -> vec4f {
  let inside = 4u * c + vec4u(0u, 1u, 2u, 3u) < vec4u(params.logits_cols);
  return select(vec4f(LOWEST), capped(load_logits(row, c)), inside);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let row = (group.x + group.y * groups.x) * (WORKGROUP_SIZE / ROW_LANES) + local.x / ROW_LANES;
  let lane = local.x % ROW_LANES;
  let inside = row < params.rows;
  let vectors = select(0u, (params.logits_cols + 3u) / 4u, inside);
  var largest = vec4f(LOWEST);
  var bad = false;
  for (var c = lane; c < vectors; c += ROW_LANES) {
    bad = bad || any_non_finite(load_logits(row, c));
    largest = max(largest, shard(row, c));
  }
  if (bad) { atomicOr(&flags[0], 1u); }
  let is_first_shard = params.first_id == 0u;
  let at = 3u * min(row, params.rows - 1u);
  let old_m = select(state[at], LOWEST, is_first_shard);
  let old_s = select(state[at + 1u], 0.0, is_first_shard);
  let m = max(old_m, row_max(local.x, max(max(largest.x, largest.y), max(largest.z, largest.w))));
  var sum = vec4f(0.0);
  for (var c = lane; c < vectors; c += ROW_LANES) { sum += exp(shard(row, c) - m); }
  let s = old_s * exp(old_m - m) + row_sum(local.x, sum.x + sum.y + sum.z + sum.w);
  if (inside && lane == 0u) {
    state[at] = m;
    state[at + 1u] = s;
    let id = targets[params.first_row + row];
    if (id >= params.first_id && id - params.first_id < params.logits_cols) {
      let c = id - params.first_id;
      state[at + 2u] = shard(row, c / 4u)[c % 4u];
    }
  }
}
