// sums[c] += Σ_r x[first_row + r, c] over `rows` rows, in order: the gradient of a bias. One invocation a column.

struct Params { first_row: u32, rows: u32, cols: u32 }

@group(0) @binding(0) var<storage, read_write> sums: array<f32>;  // [C]
@group(0) @binding(1) var<storage, read> x: array<f32>;           // [R, C]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let col = (group.x + group.y * groups.x) * WORKGROUP_SIZE + lane.x;
  if (col >= params.cols) { return; }
  var sum = 0.0;
  for (var r = 0u; r < params.rows; r++) {
    sum += x[(params.first_row + r) * params.cols + col];
  }
  sums[col] += sum;
}
