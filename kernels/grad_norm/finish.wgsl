// Global gradient norm and clipping coefficient from the partial sums.
//
//   totals[1] = norm = sqrt(sum of partials)
//   totals[2] = min(1, max_norm / (norm + 1e-6)), or 1 where max_norm is 0      (torch.nn.utils.clip_grad_norm_)
//
// A norm that overflowed raises flags[0]. One workgroup.

struct Params { count: u32, max_norm: f32 }

@group(0) @binding(0) var<storage, read_write> totals: array<f32>;
@group(0) @binding(1) var<storage, read_write> flags: array<atomic<u32>>;  // [1]
@group(0) @binding(2) var<storage, read> partials: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

const ROW_LANES = WORKGROUP_SIZE; // all of them sum together

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(local_invocation_id) lane: vec3u) {
  var squares = 0.0;
  for (var i = lane.x; i < params.count; i += WORKGROUP_SIZE) { squares += partials[i]; }
  let norm = sqrt(row_sum(lane.x, squares));
  if (lane.x == 0u) {
    if (non_finite(norm)) { atomicOr(&flags[0], 1u); }
    totals[1] = norm;
    totals[2] = select(1.0, min(1.0, params.max_norm / (norm + 1e-6)), params.max_norm > 0.0);
  }
}
