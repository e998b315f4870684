// threefry2x32 of 20 rounds (Salmon et al. 2011), the numbers of src/random.ts: two independent words for a key and a counter.

const ROTATIONS = array<u32, 8>(13u, 15u, 26u, 6u, 17u, 29u, 16u, 24u);

fn threefry(key: vec2u, counter: vec2u) -> vec2u {
  var rotations = ROTATIONS;
  let keys = array<u32, 3>(key.x, key.y, key.x ^ key.y ^ 0x1bd11bdau);
  var w = counter + key;
  for (var round = 0u; round < 20u; round++) {
    let bits = rotations[round % 8u];
    w.x += w.y;
    w.y = ((w.y << bits) | (w.y >> (32u - bits))) ^ w.x;
    if (round % 4u == 3u) {
      let block = (round + 1u) / 4u;
      w += vec2u(keyed(keys, block % 3u), keyed(keys, (block + 1u) % 3u) + block);
    }
  }
  return w;
}

// Not by a variable index: arrays that are values cannot be indexed so everywhere.
fn keyed(keys: array<u32, 3>, i: u32) -> u32 {
  return select(select(keys[2], keys[1], i == 1u), keys[0], i == 0u);
}
