// Maximum over the ROW_LANES neighbouring lanes that share a row, the same value in each of them.
// ROW_LANES is a power of two. Must be reached by all lanes of the workgroup.

var<workgroup> row_max_lanes: array<f32, WORKGROUP_SIZE>;

fn row_max(lane: u32, value: f32) -> f32 {
  row_max_lanes[lane] = value;
  workgroupBarrier();
  for (var half = ROW_LANES / 2u; half > 0u; half /= 2u) {
    if (lane % ROW_LANES < half) { row_max_lanes[lane] = max(row_max_lanes[lane], row_max_lanes[lane + half]); }
    workgroupBarrier();
  }
  let largest = row_max_lanes[lane - lane % ROW_LANES];
  workgroupBarrier();
  return largest;
}
