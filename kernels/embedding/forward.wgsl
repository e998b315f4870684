// Rows of an embedding table by token id. The table may lie in several shards of rows; each shard's dispatch fills the
// rows whose ids it holds. An id that the vocabulary lacks gives a row of zeros, by the first shard.
//
//   y[r, :] = scale * table[ids[r] - first_id, :]     for first_id <= ids[r] < first_id + shard_rows
//
// One invocation a vector of four columns.

struct Params {
  rows: u32, y_cols: u32, table_cols: u32, first_id: u32, shard_rows: u32, vocab: u32, scale: f32
}

@group(0) @binding(1) var<storage, read> ids: array<u32>;  // [R]
@group(0) @binding(3) var<uniform> params: Params;         // y [R, C], table [shard_rows, C]

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let vectors = (params.table_cols + 3u) / 4u;
  let i = (group.x + group.y * groups.x) * WORKGROUP_SIZE + lane.x;
  let row = i / vectors;
  if (row >= params.rows) { return; }
  let id = ids[row];
  if (id >= params.vocab && params.first_id == 0u) { store_y(row, i % vectors, vec4f(0.0)); }
  if (id >= params.first_id && id - params.first_id < params.shard_rows) {
    store_y(row, i % vectors, params.scale * load_table(id - params.first_id, i % vectors));
  }
}
