// dmagnitude_c += Σ_r dy_rc z_rc / n_c over `rows` rows from first_row, in order; n is a constant here (Liu et al. 2024,
// section 4.3). One invocation a column.

struct Params { first_row: u32, rows: u32, cols: u32 }

@group(0) @binding(0) var<storage, read_write> dmagnitude: array<f32>;  // [C]
@group(0) @binding(1) var<storage, read> dy: array<f32>;                // [R, C]
@group(0) @binding(2) var<storage, read> z: array<f32>;                 // [R, C]
@group(0) @binding(3) var<storage, read> norms: array<f32>;             // [C]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let col = (group.x + group.y * groups.x) * WORKGROUP_SIZE + lane.x;
  if (col >= params.cols) { return; }
  let norm = norms[col];
  if (norm == 0.0) { return; }
  var sum = 0.0;
  for (var r = 0u; r < params.rows; r++) {
    let i = (params.first_row + r) * params.cols + col;
    sum += dy[i] * z[i];
  }
  dmagnitude[col] += sum / norm;
}
