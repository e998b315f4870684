// Sums of squares of a pool of gradients, one partial sum a workgroup, in a fixed order.
// A gradient that is not finite raises flags[0].

struct Params { vectors: u32, first_partial: u32 }

@group(0) @binding(0) var<storage, read_write> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> flags: array<atomic<u32>>;  // [1]
@group(0) @binding(2) var<storage, read> grads: array<vec4f>;
@group(0) @binding(3) var<uniform> params: Params;

const ROW_LANES = WORKGROUP_SIZE; // all of them sum together

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  var squares = 0.0;
  var bad = false;
  for (var i = group.x * WORKGROUP_SIZE + lane.x; i < params.vectors; i += PARTIALS * WORKGROUP_SIZE) {
    let g = grads[i];
    bad = bad || non_finite(g.x) || non_finite(g.y) || non_finite(g.z) || non_finite(g.w);
    squares += dot(g, g);
  }
  if (bad) { atomicOr(&flags[0], 1u); }
  let sum = row_sum(lane.x, squares);
  if (lane.x == 0u) { partials[params.first_partial + group.x] = sum; }
}
