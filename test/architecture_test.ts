import assert from "node:assert/strict";
import browserConfig from "../deno.browser.json" with { type: "json" };
import config from "../deno.json" with { type: "json" };
import onnx from "../web/onnx/package.json" with { type: "json" };
import { importsOf, LAYERS, namelessFiles, unitOf, violations } from "./helpers/architecture.ts";

const ROOT = new URL("../", import.meta.url);
const PACKAGES = Object.keys(config.imports);

async function filesBelow(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    const path = `${folder}/${name}`;
    if (isDirectory) paths.push(...await filesBelow(path));
    else paths.push(path);
  }
  return paths;
}

async function sources(folders: readonly string[]): Promise<Map<string, string>> {
  const paths = (await Promise.all(folders.map(filesBelow))).flat().filter((path) => /\.tsx?$/.test(path))
    .sort();
  return new Map(
    await Promise.all(
      paths.map(async (path) => [path, await Deno.readTextFile(new URL(path, ROOT))] as const),
    ),
  );
}

function judge(path: string, source: string): string[] {
  return violations(new Map([[path, source]]), PACKAGES);
}

Deno.test("src, kernels, web and server import downwards only, run in the browser but for the server, and name their packages in deno.json", async () => {
  const files = await sources(["src", "kernels", "web", "server"]);
  assert.ok(files.size > 20, `only ${files.size} files found`);
  // the chat without WebGPU has packages of its own, which nothing else may touch
  const [apart, rest] = [true, false].map((isApart) =>
    new Map([...files].filter(([path]) => path.startsWith("web/onnx/") === isApart))
  );
  assert.deepEqual(violations(rest!, PACKAGES), []);
  assert.deepEqual(violations(apart!, Object.keys(onnx.dependencies)), []);
});

Deno.test("no file of the project is named after nothing", async () => {
  const paths = (await Promise.all(["src", "kernels", "web", "server", "test"].map(filesBelow))).flat();
  assert.deepEqual(namelessFiles(paths), []);
});

Deno.test("the browser's configuration differs from Deno's in types only", () => {
  const imports = config.imports as Record<string, string>;
  for (const [name, target] of Object.entries(browserConfig.imports)) {
    assert.equal(target, imports[name], name);
  }
  const { lib: _, types: __, ...browser } = browserConfig.compilerOptions;
  const { lib: ___, ...deno } = config.compilerOptions;
  assert.deepEqual(browser, deno);
});

Deno.test("violations() names an edge that points up", () => {
  assert.deepEqual(judge("src/gpu/device.ts", 'import { Decoder } from "../models/decoder.ts";'), [
    "src/gpu/device.ts imports ../models/decoder.ts: arrows point down",
  ]);
  assert.deepEqual(judge("src/errors.ts", 'export type { JobConfig } from "./config.ts";'), [
    "src/errors.ts imports ./config.ts: arrows point down",
  ]);
});

Deno.test("violations() names siblings that know each other", () => {
  assert.deepEqual(
    judge("src/models/decoder.ts", 'const x = await import("../checkpoint/safetensors.ts");'),
    [
      "src/models/decoder.ts imports ../checkpoint/safetensors.ts: they stand side by side",
    ],
  );
  assert.deepEqual(judge("kernels/rope/kernel.ts", 'import "../matmul/kernel.ts";'), [
    "kernels/rope/kernel.ts imports ../matmul/kernel.ts: an op imports no other op, only lib",
  ]);
});

Deno.test("violations() keeps backends with the roots", () => {
  const importing = 'import { LocalFolder } from "./storage/local.ts";';
  assert.deepEqual(judge("src/main.ts", importing), []);
  assert.deepEqual(judge("src/trainer.ts", importing), [
    "src/trainer.ts imports ./storage/local.ts: arrows point down",
  ]);
  assert.deepEqual(
    judge("src/storage/local.ts", 'import { TrainableModel } from "../models/trainable_model.ts";'),
    [
      "src/storage/local.ts imports ../models/trainable_model.ts: a backend knows its interface only",
    ],
  );
});

Deno.test("violations() keeps the page above the library, and out of it", () => {
  assert.deepEqual(judge("web/gate.ts", 'import { openGpu } from "../src/gpu/device.ts";'), []);
  assert.deepEqual(judge("web/gate.ts", "Deno.exit();"), [
    "web/gate.ts uses Deno, but must run in the browser",
  ]);
  assert.deepEqual(
    judge("src/fine_tune_job.ts", 'import { OpfsFolder } from "../web/storage/opfs_storage.ts";'),
    [
      "src/fine_tune_job.ts imports ../web/storage/opfs_storage.ts: arrows point down",
    ],
  );
});

Deno.test("violations() keeps the page's two sides apart", () => {
  assert.deepEqual(judge("web/page/session.ts", 'import { planJob } from "../worker/plan_job.ts";'), [
    "web/page/session.ts imports ../worker/plan_job.ts: the page asks the worker, by its protocol",
  ]);
  assert.deepEqual(judge("web/worker.ts", 'import type { JobForm } from "./page/job_form.ts";'), [
    "web/worker.ts imports ./page/job_form.ts: the worker knows nothing that shows",
  ]);
  assert.deepEqual(judge("web/storage/opfs_storage.ts", 'import "../worker/run_library.ts";'), [
    "web/storage/opfs_storage.ts imports ../worker/run_library.ts: both sides build on it",
  ]);
});

Deno.test("violations() lets nobody reach behind an op's kernel.ts", () => {
  assert.deepEqual(
    judge("src/nn/rope.ts", 'import rope from "../../kernels/rope/rope.wgsl" with { type: "text" };'),
    [
      "src/nn/rope.ts imports ../../kernels/rope/rope.wgsl: an op is entered through its kernel.ts",
    ],
  );
});

Deno.test("violations() sees Deno, node: and packages that deno.json does not name", () => {
  assert.deepEqual(judge("src/trainer.ts", 'import fs from "node:fs";\nconst args = Deno.args;'), [
    "src/trainer.ts uses Deno, but must run in the browser",
    "src/trainer.ts imports node:fs: it must run in the browser",
  ]);
  assert.deepEqual(judge("src/config.ts", 'import * as z from "zod/mini";'), []);
  assert.deepEqual(
    judge("src/config.ts", 'import x from "jsr:@std/path";\nimport y from "https://a.b/c.ts";'),
    [
      "src/config.ts imports jsr:@std/path: packages are named in deno.json",
      "src/config.ts imports https://a.b/c.ts: packages are named in deno.json",
    ],
  );
  assert.deepEqual(judge("src/config.ts", 'import lodash from "lodash";'), [
    "src/config.ts imports lodash: deno.json does not name it",
  ]);
});

Deno.test("violations() wants every unit to have a layer", () => {
  assert.deepEqual(judge("src/magic/wand.ts", ""), ['src/magic/wand.ts: "magic" is in no layer']);
  assert.deepEqual(judge("src/config.ts", 'import "../server/app.ts";'), [
    "src/config.ts imports ../server/app.ts: arrows point down",
  ]);
});

Deno.test("importsOf() reads every form of import, over several lines too, and no comment", () => {
  const source = `import type { A } from "./a.ts";
import {
  B,
  C,
} from './b.ts';
export * from "./c.ts";
import "./d.ts";
const e = await import("./e.ts");
/** import { F } from "./f.ts"; */
// import "./g.ts";
export const text = "not from here";
`;
  assert.deepEqual(importsOf(source), ["./a.ts", "./b.ts", "./c.ts", "./d.ts", "./e.ts"]);
});

Deno.test("violations() keeps the server above the library, and its roots above it", () => {
  assert.deepEqual(judge("server/job_runner.ts", 'import { progressAt } from "../src/tracked_run.ts";'), []);
  assert.deepEqual(judge("server/main.ts", 'import { parseFlags } from "../src/cli/flags.ts";'), []);
  assert.deepEqual(judge("server/app.ts", 'import "../src/cli/flags.ts";\nimport "../web/gate.ts";'), [
    "server/app.ts imports ../src/cli/flags.ts: arrows point down",
    "server/app.ts imports ../web/gate.ts: they stand side by side",
  ]);
});

Deno.test("unitOf() tells an interface from its backends, and roots from the library", () => {
  const paths = [
    "src/storage.ts",
    "src/storage/memory.ts",
    "src/cli/train.ts",
    "src/config/fields.ts",
    "src/tensor.ts",
    "web/worker.ts",
    "web/gate.ts",
  ];
  const units = ["storage", "storage backends", "roots", "config", "tensor", "roots", "web"];
  assert.deepEqual(paths.map(unitOf), units);
  const inLayers = LAYERS.flat();
  assert.equal(new Set(inLayers).size, inLayers.length);
});

Deno.test("namelessFiles() allows test/helpers alone", () => {
  const paths = [
    "src/utils.ts",
    "src/string_utils.ts",
    "src/common/a.ts",
    "test/helpers/tensor.ts",
    "src/commonality.ts",
  ];
  assert.deepEqual(namelessFiles(paths), ["src/utils.ts", "src/string_utils.ts", "src/common/a.ts"]);
});
