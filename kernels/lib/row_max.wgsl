// Maximum over the lanes of a workgroup, the same value in every lane.
// WORKGROUP_SIZE is a power of two. Must be reached by all lanes.

var<workgroup> row_max_lanes: array<f32, WORKGROUP_SIZE>;

fn row_max(lane: u32, value: f32) -> f32 {
  row_max_lanes[lane] = value;
  workgroupBarrier();
  for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) { row_max_lanes[lane] = max(row_max_lanes[lane], row_max_lanes[lane + half]); }
    workgroupBarrier();
  }
  let largest = row_max_lanes[0];
  workgroupBarrier();
  return largest;
}
