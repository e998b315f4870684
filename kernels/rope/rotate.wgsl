// Rotary position embedding (Su et al. 2021) in the half-split layout, in place.
//
//   for i < D/2, position t, angle a = t * frequency_i (tables hold cos a and sin a):
//   x_i       <- x_i * cos - x_(i+D/2) * sin
//   x_(i+D/2) <- x_(i+D/2) * cos + x_i * sin
//
// direction is 1 for forward and -1 for backward: the gradient of a rotation is the rotation back.
// Row r of x is position r % T. One invocation a pair.

struct Params { rows: u32, row_length: u32, heads: u32, half_dim: u32, direction: f32 }

@group(0) @binding(0) var<storage, read_write> x: array<f32>;       // [R, H, D]
@group(0) @binding(1) var<storage, read> cos_table: array<f32>;     // [T, D/2]
@group(0) @binding(2) var<storage, read> sin_table: array<f32>;     // [T, D/2]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let pair = (group.x + group.y * groups.x) * WORKGROUP_SIZE + lane.x;
  if (pair >= params.rows * params.heads * params.half_dim) { return; }
  let i = pair % params.half_dim;
  let row = pair / (params.half_dim * params.heads);
  let at = (row % params.row_length) * params.half_dim + i;
  let cosine = cos_table[at];
  let sine = params.direction * sin_table[at];
  let low = (pair / params.half_dim) * 2u * params.half_dim + i;
  let high = low + params.half_dim;
  let a = x[low];
  let b = x[high];
  x[low] = a * cosine - b * sine;
  x[high] = b * cosine + a * sine;
}
