// Dropout on the input of an update (Srivastava et al. 2014).
//
//   y[r, t, c] (+)= x[r, t, c] / (1 - rate)   where u >= rate, else 0     u in [0, 1) by (seed, stream; step, token, c)
//
// The same mask serves the gradient: with ACCUMULATE it is added to what y holds. Beyond a row's length nothing is kept. u
// are the numbers of src/random.ts, two a block, and token counts all tokens of the optimizer step. One invocation two columns.

struct Params { tokens: u32, cols: u32, row_length: u32, stream: u32, threshold: u32, scale: f32 }

@group(0) @binding(0) var<storage, read_write> y: array<f32>;  // [R * row_length, C]
@group(0) @binding(1) var<storage, read> x: array<f32>;        // [R * row_length, C]
// seed, step; then for each row its length and the number of its first token
@group(0) @binding(2) var<storage, read> numbers: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;             // threshold = rate * 2^24

const HEADER = 2u;

fn put(i: u32, value: f32) {
  if (ACCUMULATE == 1u) { y[i] += value; } else { y[i] = value; }
}

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
  let pair = i % pairs;
  let token = numbers[HEADER + 2u * row + 1u] + position;
  let words = threefry(vec2u(numbers[0], params.stream), vec2u(token * pairs + pair, numbers[1])) >> vec2u(8u);
  let inside = position < numbers[HEADER + 2u * row];
  let factors = select(
    vec2f(0.0),
    vec2f(params.scale),
    vec2(inside && words.x >= params.threshold, inside && words.y >= params.threshold),
  );
  let first = at * params.cols + 2u * pair;
  put(first, x[first] * factors.x);
  if (2u * pair + 1u < params.cols) { put(first + 1u, x[first + 1u] * factors.y); }
}
