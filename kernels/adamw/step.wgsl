// One AdamW step (Loshchilov & Hutter 2019) over a pool of parameters, gradients clipped on the way.
//
//   g <- clip * grad
//   m <- beta1 m + (1 - beta1) g            v <- beta2 v + (1 - beta2) g^2
//   p <- p (1 - r lr wd) - r lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
//
// r is the rate of the parameter that a value belongs to: parameters start at multiples of RATE_VECTORS groups of four.
// The step's numbers come from the host, computed in f64. Where flags[0] is raised nothing is touched:
// parameters and moments stay those of the last good step. One invocation takes VECTORS times four parameters, so that
// the step's numbers are read once for all of them.

struct Params { vectors: u32 }

@group(0) @binding(0) var<storage, read_write> p: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> m: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> v: array<vec4f>;
@group(0) @binding(3) var<storage, read> grads: array<vec4f>;
@group(0) @binding(4) var<storage, read> totals: array<f32>;   // totals[2] is the clipping coefficient
@group(0) @binding(5) var<storage, read> flags: array<u32>;    // [1]
@group(0) @binding(6) var<storage, read> numbers: array<f32>;  // order of AdamwNumbers in kernel.ts
@group(0) @binding(7) var<storage, read> rates: array<f32>;    // [vectors / RATE_VECTORS, rounded up]
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  if (flags[0] != 0u) { return; }
  let decay = numbers[0];
  let beta1 = numbers[1];
  let rest1 = numbers[2];
  let beta2 = numbers[3];
  let rest2 = numbers[4];
  let step_size = numbers[5];
  let root_correction = numbers[6];
  let eps = numbers[7];
  let clip = totals[2];
  let first = (group.x + group.y * groups.x) * WORKGROUP_SIZE * VECTORS + lane.x;
  let end = min(first + WORKGROUP_SIZE * VECTORS, params.vectors);
  for (var i = first; i < end; i += WORKGROUP_SIZE) {
    let g = clip * grads[i];
    let m_new = beta1 * m[i] + rest1 * g;
    let v_new = beta2 * v[i] + rest2 * g * g;
    m[i] = m_new;
    v[i] = v_new;
    let rate = rates[i / RATE_VECTORS];
    p[i] = (1.0 - rate * decay) * p[i] - rate * step_size * m_new / (sqrt(v_new) / root_correction + eps);
  }
}
