// Sum over the lanes of a workgroup, the same value in every lane, in a fixed order: halving tree.
// WORKGROUP_SIZE is a power of two. Must be reached by all lanes.

var<workgroup> row_sum_lanes: array<f32, WORKGROUP_SIZE>;

fn row_sum(lane: u32, value: f32) -> f32 {
  row_sum_lanes[lane] = value;
  workgroupBarrier();
  for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) { row_sum_lanes[lane] += row_sum_lanes[lane + half]; }
    workgroupBarrier();
  }
  let sum = row_sum_lanes[0];
  workgroupBarrier(); // nobody writes the lanes again before all have read the sum
  return sum;
}
