// y[index[first + i], :] = x[i, :]. Rows with an index of NO_ROW go nowhere; no two indices are equal.
// One invocation an element.

struct Params { rows: u32, cols: u32, first: u32 }

@group(0) @binding(0) var<storage, read_write> y: array<f32>;  // [R, C]
@group(0) @binding(1) var<storage, read> x: array<f32>;        // [rows, C]
@group(0) @binding(2) var<storage, read> index: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

const NO_ROW = 0xffffffffu;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let i = (group.x + group.y * groups.x) * WORKGROUP_SIZE + lane.x;
  if (i >= params.rows * params.cols) { return; }
  let row = index[params.first + i / params.cols];
  if (row != NO_ROW) { y[row * params.cols + i % params.cols] = x[i]; }
}
