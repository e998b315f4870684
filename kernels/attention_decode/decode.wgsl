// Attention of single tokens over the keys and values that a cache keeps of their rows.
//
//   out_r = sum_s softmax_s(x_rs) v_s      over the last `window` of the keys 0..position of the cache row of r
//   x_rs  = scale * q_r . k_s, and where SOFTCAP is 1: c * tanh(scale * q_r . k_s / c)
//
// places[r] = cache row * T + position; a query at NO_PLACE sees no key and gives zeros. The keys come in blocks of
// WORKGROUP_SIZE: a lane scores one key of the block, then adds the block's values in the columns that it owns. As in
// Milakov & Gimelshein 2018 (arXiv:1805.02867), what was summed before a larger score came is scaled down.
//
// One workgroup a query and head. WORKGROUP_SIZE is a power of two.

struct Params { queries: u32, heads: u32, group: u32, row_length: u32, window: u32, scale: f32, softcap: f32 }

@group(0) @binding(0) var<storage, read_write> out: array<vec4f>;  // [R, H, D]
@group(0) @binding(1) var<storage, read> q: array<vec4f>;          // [R, H, D]
@group(0) @binding(2) var<storage, read> k: array<vec4f>;          // [B, T, G, D]
@group(0) @binding(3) var<storage, read> v: array<vec4f>;          // [B, T, G, D]
@group(0) @binding(4) var<storage, read> places: array<u32>;       // [R]
@group(0) @binding(5) var<uniform> params: Params;

const NO_PLACE = 0xffffffffu;
const ROW_LANES = WORKGROUP_SIZE; // all lanes work on one query
const OWNED = (HEAD_DIM4 + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE;

var<workgroup> block_weights: array<f32, WORKGROUP_SIZE>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let lane = local.x;
  let head = group.x;
  let place = places[group.y];
  let position = place % params.row_length;
  let seen = select(min(position + 1u, params.window), 0u, place == NO_PLACE);
  let first = place + 1u - seen;
  let kv_heads = params.heads / params.group;
  let kv = head / params.group;
  let at = (group.y * params.heads + head) * HEAD_DIM4;

  var largest = -3.4e38;
  var total = 0.0;
  var owned: array<vec4f, OWNED>;
  for (var start = 0u; start < seen; start += WORKGROUP_SIZE) {
    let s = start + lane;
    var score = -3.4e38;
    if (s < seen) {
      let key = ((first + s) * kv_heads + kv) * HEAD_DIM4;
      var z = vec4f(0.0);
      for (var d = 0u; d < HEAD_DIM4; d++) { z = fma(q[at + d], k[key + d], z); }
      score = params.scale * (z.x + z.y + z.z + z.w);
      if (SOFTCAP == 1u) { score = params.softcap * tanh(clamp(score / params.softcap, -15.0, 15.0)); }
    }
    let now_largest = max(largest, row_max(lane, score));
    let keep = exp(largest - now_largest);
    let weight = select(0.0, exp(score - now_largest), s < seen);
    block_weights[lane] = weight; // the barriers of row_sum show it to the other lanes
    total = fma(total, keep, row_sum(lane, weight));
    largest = now_largest;
    let block = min(WORKGROUP_SIZE, seen - start);
    for (var i = 0u; i < OWNED; i++) {
      let d = lane + i * WORKGROUP_SIZE;
      if (d < HEAD_DIM4) {
        var sum = owned[i] * keep;
        for (var j = 0u; j < block; j++) {
          sum = fma(vec4f(block_weights[j]), v[((first + start + j) * kv_heads + kv) * HEAD_DIM4 + d], sum);
        }
        owned[i] = sum;
      }
    }
    workgroupBarrier(); // nobody writes the next block's weights before all have used these
  }
  for (var i = 0u; i < OWNED; i++) {
    let d = lane + i * WORKGROUP_SIZE;
    if (d < HEAD_DIM4) { out[at + d] = owned[i] / max(total, 1e-37); }
  }
}
