// Rows of an embedding table by token id. The table may lie in several shards of rows; each shard's dispatch fills the
// rows whose ids it holds.
//
//   y[r, :] = table[ids[r] - first_id, :]     for first_id <= ids[r] < first_id + shard_rows
//
// One invocation a vector of four columns.

struct Params { rows: u32, table_cols: u32, first_id: u32, shard_rows: u32 }

@group(0) @binding(0) var<storage, read_write> y: array<f32>;  // [R, C]
@group(0) @binding(1) var<storage, read> ids: array<u32>;      // [R]
@group(0) @binding(3) var<uniform> params: Params;

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
  if (id < params.first_id || id >= params.first_id + params.shard_rows) { return; }
  let value = load_table(id - params.first_id, i % vectors);
  let col = 4u * (i % vectors);
  for (var j = 0u; j < min(4u, params.table_cols - col); j++) { y[row * params.table_cols + col + j] = value[j]; }
}
