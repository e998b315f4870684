// y [cols, rows] = source [rows, cols] transposed. One invocation an element of y.

struct Params { rows: u32, cols: u32 }

@group(0) @binding(0) var<storage, read_write> y: array<f32>;  // [cols, rows]
@group(0) @binding(1) var<storage, read> source: array<f32>;   // [rows, cols]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let i = (group.x + group.y * groups.x) * WORKGROUP_SIZE + lane.x;
  if (i >= params.rows * params.cols) { return; }
  y[i] = source[(i % params.rows) * params.cols + i / params.rows];
}
