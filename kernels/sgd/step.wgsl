// One step of SGD with momentum (Sutskever et al. 2013) over a pool of parameters, gradients clipped on the way.
//
//   g <- clip * grad + wd p
//   m <- mu m + g                     g without momentum
//   p <- p - r lr m                   p - r lr (g + mu m) where NESTEROV is 1
//
// r is the rate of the parameter that a value belongs to: parameters start at multiples of RATE_VECTORS groups of four.
// Where flags[0] is raised nothing is touched: parameters and momentum stay those of the last good step. One invocation
// takes VECTORS times four parameters, so that the step's numbers are read once for all of them.

struct Params { vectors: u32 }

@group(0) @binding(0) var<storage, read_write> p: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> m: array<vec4f>;
@group(0) @binding(2) var<storage, read> grads: array<vec4f>;
@group(0) @binding(3) var<storage, read> totals: array<f32>;   // totals[2] is the clipping coefficient
@group(0) @binding(4) var<storage, read> flags: array<u32>;    // [1]
@group(0) @binding(5) var<storage, read> numbers: array<f32>;  // order of sgdNumbers in kernel.ts
@group(0) @binding(6) var<storage, read> rates: array<f32>;    // [vectors / RATE_VECTORS, rounded up]
@group(0) @binding(7) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  if (flags[0] != 0u) { return; }
  let step_size = numbers[0];
  let decay = numbers[1];
  let momentum = numbers[2];
  let clip = totals[2];
  let first = (group.x + group.y * groups.x) * WORKGROUP_SIZE * VECTORS + lane.x;
  let end = min(first + WORKGROUP_SIZE * VECTORS, params.vectors);
  for (var i = first; i < end; i += WORKGROUP_SIZE) {
    let g = clip * grads[i] + decay * p[i];
    let m_new = momentum * m[i] + g;
    m[i] = m_new;
    p[i] -= rates[i / RATE_VECTORS] * step_size * select(m_new, g + momentum * m_new, NESTEROV == 1u);
  }
}
