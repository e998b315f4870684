import assert from "node:assert/strict";

const ROOT = new URL("../", import.meta.url).pathname;
/** A real trained model of 260 thousand parameters stands in for the README's: same files, same steps, seconds. */
const MODEL = new URL("../../shared/models/stories260K-hf", import.meta.url).pathname;

async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

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

Deno.test({
  name:
    "README's first example trains, lowers the loss and leaves the files it names (needs shared data and an adapter)",
  ignore: Deno.build.os !== "linux" || !(await isThere(MODEL)),
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "lowrank-readme-" });
    try {
      await Deno.mkdir(`${folder}/models`);
      await Deno.symlink(MODEL, `${folder}/models/smollm2`);
      await Deno.symlink(`${ROOT}examples`, `${folder}/examples`);
      await Deno.symlink(`${ROOT}lowrank`, `${folder}/lowrank`);
      const { code, stdout, stderr } = await new Deno.Command("/bin/sh", {
        args: ["-c", await firstExample()],
        cwd: folder,
        env: { NO_COLOR: "1" },
      }).output();
      const out = new TextDecoder().decode(stdout);
      assert.equal(code, 0, new TextDecoder().decode(stderr));
      const [, before, after] = /eval loss +([\d.]+) before, ([\d.]+) after/.exec(out) ?? [];
      assert.ok(Number(after) < Number(before), out);
      for (
        const file of [
          "adapter/adapter_config.json",
          "adapter/adapter_model.safetensors",
          "merged/config.json",
        ]
      ) {
        assert.ok(await isThere(`${folder}/runs/lighthouse/${file}`), `${file} is missing`);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
