// Adds the summed cross-entropy of a chunk of rows to totals[0], in row order, and to totals[3] how many of their targets
// have the largest logit.
//
//   loss_r = m + log(s) - logit of the target       rows whose target is NO_TARGET add nothing
//
// One invocation: a chunk has few rows, and a fixed order makes runs repeatable bit for bit.

struct Params { rows: u32, first_row: u32 }

@group(0) @binding(0) var<storage, read_write> totals: array<f32>;
@group(0) @binding(1) var<storage, read> state: array<f32>;    // [rows, 3]: m, s, logit of the target
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

const NO_TARGET = 0xffffffffu;

@compute @workgroup_size(1)
fn main() {
  var sum = 0.0;
  var correct = 0.0;
  for (var row = 0u; row < params.rows; row++) {
    if (targets[params.first_row + row] != NO_TARGET) {
      sum += log(state[3u * row + 1u]) + (state[3u * row] - state[3u * row + 2u]);
      correct += select(0.0, 1.0, state[3u * row + 2u] >= state[3u * row]);
    }
  }
  totals[0] += sum;
  totals[3] += correct;
}
