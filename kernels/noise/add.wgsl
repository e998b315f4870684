// Noise of NEFTune (Jain et al. 2023, arXiv:2310.05914) on embedded tokens.
//
//   x[r, t, c] += alpha / sqrt(L_r C) * (2 u - 1)      u in [0, 1) by (seed, stream; step, token, c)
//
// L_r is the length of row r, token counts all tokens of the optimizer step: neither padding nor the split into
// micro-batches changes a bit. What lies beyond a row's length is left alone. u are the numbers of src/random.ts, two a
// block of threefry2x32 (Salmon et al. 2011). One invocation two columns.

struct Params { tokens: u32, cols: u32, row_length: u32 }

@group(0) @binding(0) var<storage, read_write> x: array<f32>;  // [R * row_length, C]
// seed, stream, step, bits of alpha; then for each row its length and the number of its first token
@group(0) @binding(1) var<storage, read> noise: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

const HEADER = 4u;
@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let pairs = (params.cols + 1u) / 2u;
  let i = (group.x + group.y * groups.x) * WORKGROUP_SIZE + lane.x;
  let at = i / pairs;
  if (at >= params.tokens) { return; }
  let row = at / params.row_length;
  let position = at % params.row_length;
  let length = noise[HEADER + 2u * row];
  if (position >= length) { return; }
  let pair = i % pairs;
  let token = noise[HEADER + 2u * row + 1u] + position;
  let words = threefry(vec2u(noise[0], noise[1]), vec2u(token * pairs + pair, noise[2]));
  let size = bitcast<f32>(noise[3]) / sqrt(f32(length) * f32(params.cols));
  let drawn = size * (2.0 * (vec2f(words >> vec2u(8u)) / 16777216.0) - 1.0);
  let first = at * params.cols + 2u * pair;
  x[first] += drawn.x;
  if (2u * pair + 1u < params.cols) { x[first + 1u] += drawn.y; }
}
