// Gradient of the embedding table: every row of dx is added to the row of the table that it was looked up in.
//
//   dtable[id, :] += scale * sum of dx[r, :] over rows r with ids[r] = id
//
// The host sorts the rows by id: segment s holds the rows order[starts[s] .. starts[s + 1]] of one id, so that each row of
// the table is written by one invocation a column, in a fixed order. Segments beyond the last are empty.

struct Params { segments: u32, cols: u32, vocab: u32, scale: f32 }

@group(0) @binding(0) var<storage, read_write> dtable: array<f32>;  // [V, C]
@group(0) @binding(1) var<storage, read> dx: array<f32>;            // [R, C]
@group(0) @binding(2) var<storage, read> ids: array<u32>;           // [R]
@group(0) @binding(3) var<storage, read> order: array<u32>;         // [R]
@group(0) @binding(4) var<storage, read> starts: array<u32>;        // [segments + 1]
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let c = group.x * WORKGROUP_SIZE + lane.x;
  let first = starts[group.y];
  let end = starts[group.y + 1u];
  if (c >= params.cols || first == end) { return; }
  let id = ids[order[first]];
  if (id >= params.vocab) { return; }
  var sum = 0.0;
  for (var i = first; i < end; i++) { sum += dx[order[i] * params.cols + c]; }
  dtable[id * params.cols + c] += params.scale * sum;
}
