/**
 * The three ways of use, each as its file in `examples/` has it.
 */
import assert from "node:assert/strict";
import { device } from "../helpers/device.ts";

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);

/** Runs an example in a folder that holds nothing but the examples and the launcher. */
async function ran(command: string, args: readonly string[], look: (folder: string, text: string) => void) {
  const folder = await Deno.makeTempDir({ prefix: "lowrank-usage-" });
  try {
    for (const name of ["examples", "lowrank"]) await Deno.symlink(ROOT + name, `${folder}/${name}`);
    const { code, stdout, stderr } = await new Deno.Command(command, {
      args: [...args],
      cwd: folder,
      env: { NO_COLOR: "1" },
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    look(folder, new TextDecoder().decode(stdout));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function program(name: string): [string, string[]] {
  return [Deno.execPath(), [
    "run",
    "--config",
    `${ROOT}deno.json`,
    "--no-prompt",
    "-A",
    `${ROOT}examples/${name}`,
  ]];
}

const ignore = !device, suffix = ignore ? " (no adapter)" : "";
const isAdapter = (folder: string) => Deno.statSync(`${folder}/adapter/adapter_model.safetensors`).isFile;

Deno.test({
  name: `the package trains and tells of it${suffix}`,
  ignore,
  fn: () =>
    ran(...program("package.ts"), (folder, text) => {
      assert.match(
        text,
        /^step 1: loss \d\.\d{3}\nstep 2: loss \d\.\d{3}\nadapter: runs\/by-package\/adapter\n$/,
      );
      assert.ok(isAdapter(`${folder}/runs/by-package`));
    }),
});

Deno.test({
  name: `the command trains with the flags of the Python service${suffix}`,
  ignore: ignore || Deno.build.os === "windows",
  fn: () =>
    ran("/bin/sh", ["examples/command.sh"], (folder) => assert.ok(isAdapter(`${folder}/runs/by-command`))),
});

Deno.test("single components work without each other, and without a GPU", () =>
  ran(...program("components.ts"), (_, text) => {
    assert.match(text, /^models\/tiny\/model\.safetensors \d+$/m);
    assert.match(text, /^records: [1-9]\d* updates written, 0 dropped$/m);
    assert.match(text, /^data: 720 rows to train on, 80 held out$/m);
    assert.match(text, /^model: \d+ layers of width \d+$/m);
  }));
