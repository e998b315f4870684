// Sum over the ROW_LANES neighbouring lanes that share a row, the same value in each of them, in a fixed order: halving
// tree. ROW_LANES is a power of two. Must be reached by all lanes of the workgroup.

var<workgroup> row_sum_lanes: array<f32, WORKGROUP_SIZE>;

fn row_sum(lane: u32, value: f32) -> f32 {
  row_sum_lanes[lane] = value;
  workgroupBarrier();
  for (var half = ROW_LANES / 2u; half > 0u; half /= 2u) {
    if (lane % ROW_LANES < half) { row_sum_lanes[lane] += row_sum_lanes[lane + half]; }
    workgroupBarrier();
  }
  let sum = row_sum_lanes[lane - lane % ROW_LANES];
  workgroupBarrier(); // nobody writes the lanes again before all have read the sum
  return sum;
}
