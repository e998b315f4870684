import assert from "node:assert/strict";
import { onGpu } from "./helpers/device.ts";

const ROOT = new URL("../", import.meta.url).pathname;

/** The first shell block of the README, as it stands. */
async function firstExample(): Promise<string> {
  const readme = await Deno.readTextFile(`${ROOT}README.md`);
  const block = /```sh\n([^]*?)```/.exec(readme)?.[1];
  assert.ok(
    block !== undefined && block.includes("lowrank train"),
    "the README begins with no training example",
  );
  return block;
}

onGpu("README's first example teaches the bundled model and leaves the files it names", async () => {
  const folder = await Deno.makeTempDir({ prefix: "lowrank-readme-" });
  try {
    await Deno.symlink(`${ROOT}lowrank`, `${folder}/lowrank`);
    const { code, stdout, stderr } = await new Deno.Command("/bin/sh", {
      args: ["-c", await firstExample()],
      cwd: folder,
      env: { NO_COLOR: "1" },
    }).output();
    const out = new TextDecoder().decode(stdout);
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    const [, before, after, rows] =
      /exact +([\d.]+) % before, ([\d.]+) % after, of (\d+) held-out prompts/.exec(out) ?? [];
    assert.ok(Number(before) < 10 && Number(after) > 90 && Number(rows) >= 200, out);
    assert.match(out, /^ {2}prompt +before +after\n= Signal/m);
    for (
      const file of ["adapter/adapter_config.json", "adapter/adapter_model.safetensors", "merged/config.json"]
    ) {
      assert.ok((await Deno.stat(`${folder}/runs/signals/${file}`)).isFile);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
