// y_rc = g_c z_rc (+ bias_c) (+ addend_rc), BIAS and ADDEND saying what is added. Its gradient with respect to z is
// the same line with dy in the place of z and nothing added. One invocation an element.

struct Params { rows: u32, cols: u32 }

@group(0) @binding(0) var<storage, read_write> y: array<f32>;  // [R, C]
@group(0) @binding(1) var<storage, read> z: array<f32>;        // [R, C]
@group(0) @binding(2) var<storage, read> gains: array<f32>;    // [C]
@group(0) @binding(3) var<storage, read> bias: array<f32>;     // [C]
@group(0) @binding(4) var<storage, read> addend: array<f32>;   // [R, C]
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let i = (group.x + group.y * groups.x) * WORKGROUP_SIZE + lane.x;
  if (i >= params.rows * params.cols) { return; }
  let col = i % params.cols;
  var value = gains[col] * z[i];
  if (BIAS == 1u) { value += bias[col]; }
  if (ADDEND == 1u) { value += addend[i]; }
  y[i] = value;
}
