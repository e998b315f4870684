// Norms of the rows of V = W + s B A, without V:
//
//   n_o² = ‖W_o‖² + s Σ_j b_oj t_jo,   t = 2 A Wᵀ + s A Aᵀ Bᵀ     squares, t given
//   g_o  = m_o / n_o                                               0 where the row is nothing but zeros
//
// One invocation a row; neighbours read neighbouring columns of t.

struct Params { rows: u32, rank: u32, scaling: f32 }

@group(0) @binding(0) var<storage, read_write> norms: array<f32>;  // [O]
@group(0) @binding(1) var<storage, read_write> gains: array<f32>;  // [O]
@group(0) @binding(2) var<storage, read> squares: array<f32>;      // [O]
@group(0) @binding(3) var<storage, read> magnitude: array<f32>;    // [O]
@group(0) @binding(4) var<storage, read> b: array<f32>;            // [O, rank]
@group(0) @binding(5) var<storage, read> t: array<f32>;            // [rank, O]
@group(0) @binding(6) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let row = (group.x + group.y * groups.x) * WORKGROUP_SIZE + lane.x;
  if (row >= params.rows) { return; }
  var sum = 0.0;
  for (var j = 0u; j < params.rank; j++) {
    sum += b[row * params.rank + j] * t[j * params.rows + row];
  }
  let norm = sqrt(max(squares[row] + params.scaling * sum, 0.0));
  norms[row] = norm;
  var gain = 0.0;
  if (norm > 0.0) { gain = magnitude[row] / norm; }
  gains[row] = gain;
}
