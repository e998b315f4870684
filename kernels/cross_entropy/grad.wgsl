// Gradient of the mean cross-entropy with respect to one shard of the logits.
//
//   dl_c = (exp(z_c - m) / s - [c is the target]) * dz_c/dl_c * scalars[0]      scalars[0] = 1 / labelled tokens of the step
//
// Rows whose target is NO_TARGET are filler: their gradient is zero. ROW_LANES lanes share a row.

struct Params { rows: u32, dlogits_cols: u32, logits_cols: u32, first_id: u32, first_row: u32, cap: f32 }

@group(0) @binding(2) var<storage, read> state: array<f32>;    // [rows, 3]: m, s, z of the target
@group(0) @binding(3) var<storage, read> targets: array<u32>;  // token ids from first_row on
@group(0) @binding(4) var<storage, read> scalars: array<f32>;  // [1]
@group(0) @binding(5) var<uniform> params: Params;             // logits, dlogits [rows, shard]

const NO_TARGET = 0xffffffffu;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let row = (group.x + group.y * groups.x) * (WORKGROUP_SIZE / ROW_LANES) + local.x / ROW_LANES;
  if (row >= params.rows) { return; }
  let id = targets[params.first_row + row];
  let m = state[3u * row];
  let weight = select(scalars[0], 0.0, id == NO_TARGET);
  let scale = weight / state[3u * row + 1u];
  for (var c = local.x % ROW_LANES; c < (params.logits_cols + 3u) / 4u; c += ROW_LANES) {
    let z = capped(load_logits(row, c));
    let ids = params.first_id + 4u * c + vec4u(0u, 1u, 2u, 3u);
    let hit = select(vec4f(0.0), vec4f(weight), ids == vec4u(id));
    store_dlogits(row, c, (exp(z - m) * scale - hit) * capped_slope(z));
  }
}
