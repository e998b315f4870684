// Copies the transpose of a matrix [rows, cols] into a texture: texel (c, r) holds source[4c..4c+3, r].
// Columns and rows are padded with zeros. One invocation a texel.

struct Params { rows: u32, cols: u32, width: u32, height: u32 }

@group(0) @binding(0) var staged: texture_storage_2d<rgba32float, write>; // [height, width] texels
@group(0) @binding(1) var<storage, read> source: array<f32>;              // [rows, cols]
@group(0) @binding(2) var<uniform> params: Params;

fn element(row: u32, col: u32) -> f32 {
  let inside = row < params.rows && col < params.cols;
  return select(0.0, source[row * params.cols + col], inside);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let texel = vec2u(group.x * WORKGROUP_SIZE + lane.x, group.y);
  if (texel.x >= params.width) { return; }
  let row = 4u * texel.x;
  textureStore(staged, texel, vec4f(
    element(row, texel.y), element(row + 1u, texel.y), element(row + 2u, texel.y), element(row + 3u, texel.y)));
}
