// Mean squared error and its gradient.
//
//   totals[0] = loss = (1/n)·Σ_i (y_i − t_i)²        dy_i = (2/n)·(y_i − t_i)
//
// One workgroup; its lanes stride over the values, and their sums meet in a fixed order.

struct Params { count: u32 }

@group(0) @binding(0) var<storage, read_write> totals: array<f32>;
@group(0) @binding(1) var<storage, read_write> dy: array<f32>;   // [n]
@group(0) @binding(2) var<storage, read> y: array<f32>;          // [n]
@group(0) @binding(3) var<storage, read> goal: array<f32>;       // [n]
@group(0) @binding(4) var<uniform> params: Params;

const ROW_LANES = WORKGROUP_SIZE; // all of them sum together

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(local_invocation_id) lane: vec3u) {
  let share = 1.0 / f32(params.count);
  var squares = 0.0;
  for (var i = lane.x; i < params.count; i += WORKGROUP_SIZE) {
    let error = y[i] - goal[i];
    squares += error * error;
    dy[i] = 2.0 * share * error;
  }
  let sum = row_sum(lane.x, squares);
  if (lane.x == 0u) { totals[0] = share * sum; }
}
