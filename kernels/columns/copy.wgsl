// y[r, y_first + c] = x[r, x_first + c] for c < cols. Columns of y beside these stay as they are.
// One invocation an element.

struct Params { rows: u32, cols: u32, y_cols: u32, y_first: u32, x_cols: u32, x_first: u32 }

@group(0) @binding(0) var<storage, read_write> y: array<f32>;  // [R, y_cols]
@group(0) @binding(1) var<storage, read> x: array<f32>;        // [R, x_cols]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let i = (group.x + group.y * groups.x) * WORKGROUP_SIZE + lane.x;
  if (i >= params.rows * params.cols) { return; }
  let row = i / params.cols;
  let col = i % params.cols;
  y[row * params.y_cols + params.y_first + col] = x[row * params.x_cols + params.x_first + col];
}
