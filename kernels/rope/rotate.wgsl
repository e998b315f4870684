// Rotary position embedding (Su et al. 2021) of queries and keys in the half-split layout. Of each head the first 2P
// elements are turned, in pairs (i, i + P), and the rest stays:
//
//   at position t with angles a = t * frequency_i (the tables hold cos a and sin a), for i < P:
//   y_i     = x_i * cos - x_(i+P) * sin
//   y_(i+P) = x_(i+P) * cos + x_i * sin
//
// direction is 1 for forward and -1 for backward: the gradient of a rotation is the rotation back. One invocation makes
// four elements of every head of a row, so that their angles are read once. ALIGNED is 1 where P is a multiple of 4: then
// the partners of four neighbours are neighbours in one vector.

struct Params {
  rows: u32, head_dim: u32, pairs: u32,
  turned_q_cols: u32, turned_k_cols: u32, q_cols: u32, k_cols: u32, direction: f32
}

@group(0) @binding(4) var<storage, read> cosines: array<f32>;    // [T, P]
@group(0) @binding(5) var<storage, read> sines: array<f32>;      // [T, P]
@group(0) @binding(6) var<storage, read> positions: array<u32>;  // [R]
@group(0) @binding(7) var<uniform> params: Params;               // q [R, H * D], k [R, G * D]

fn some_q(row: u32, col: vec4u) -> vec4f {
  let first = load_q(row, col.x / 4u);
  if (ALIGNED == 1u) { return first; }
  return vec4f(first[col.x % 4u], load_q(row, col.y / 4u)[col.y % 4u],
    load_q(row, col.z / 4u)[col.z % 4u], load_q(row, col.w / 4u)[col.w % 4u]);
}

fn some_k(row: u32, col: vec4u) -> vec4f {
  let first = load_k(row, col.x / 4u);
  if (ALIGNED == 1u) { return first; }
  return vec4f(first[col.x % 4u], load_k(row, col.y / 4u)[col.y % 4u],
    load_k(row, col.z / 4u)[col.z % 4u], load_k(row, col.w / 4u)[col.w % 4u]);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let vectors = params.head_dim / 4u;
  let at = (group.x + group.y * groups.x) * WORKGROUP_SIZE + local.x;
  let row = at / vectors;
  if (row >= params.rows) { return; }
  let c = at % vectors;
  let element = 4u * c + vec4u(0u, 1u, 2u, 3u);
  let pairs = vec4u(params.pairs);
  let low = element < pairs;
  let turns = element < 2u * pairs;
  let pair = select(vec4u(0u), select(element - pairs, element, low), turns);
  let partner = select(element, select(element - pairs, element + pairs, low), turns);
  let angle = positions[row] * params.pairs + pair;
  let cosine = select(
    vec4f(1.0), vec4f(cosines[angle.x], cosines[angle.y], cosines[angle.z], cosines[angle.w]), turns);
  let turn = params.direction * vec4f(sines[angle.x], sines[angle.y], sines[angle.z], sines[angle.w]);
  let sine = select(vec4f(0.0), select(turn, -turn, low), turns);
  for (var h = 0u; h < params.q_cols / params.head_dim; h++) {
    let other = some_q(row, h * params.head_dim + partner);
    store_turned_q(row, h * vectors + c, fma(load_q(row, h * vectors + c), cosine, other * sine));
  }
  for (var h = 0u; h < params.k_cols / params.head_dim; h++) {
    let other = some_k(row, h * params.head_dim + partner);
    store_turned_k(row, h * vectors + c, fma(load_k(row, h * vectors + c), cosine, other * sine));
  }
}
