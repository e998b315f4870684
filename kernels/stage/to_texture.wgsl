// Copies a matrix [rows, cols] into a texture, four columns a texel, columns and rows padded with zeros.
// One invocation a texel, neighbouring lanes in neighbouring columns, or in neighbouring rows where DOWN is 1.

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
  let along = vec2u(group.x * WORKGROUP_SIZE + lane.x, group.y);
  let texel = select(along, along.yx, DOWN == 1u);
  if (texel.x >= params.width || texel.y >= params.height) { return; }
  let col = 4u * texel.x;
  textureStore(staged, texel, vec4f(
    element(texel.y, col), element(texel.y, col + 1u), element(texel.y, col + 2u), element(texel.y, col + 3u)));
}
