import assert from "node:assert/strict";
import { buildWeb, pageSizes } from "../../web/build.ts";
import { withoutComments } from "../../web/build/page_imports.ts";

Deno.test("the page shows after 100 kB, trains after 300 kB and never loads more than 400 kB, all gzipped", async () => {
  const out = await Deno.makeTempDir({ prefix: "lowrank-web-" });
  try {
    await buildWeb(out);
    const { initial, whole, later, brotli, files } = await pageSizes(out);
    assert.ok(files.has("main.js") && files.has("worker.js"));
    assert.ok(initial > files.get("main.js")! && initial < 100_000, `${initial} bytes before the page shows`);
    assert.ok(
      whole > initial + files.get("worker.js")! / 2 && whole < 300_000,
      `${whole} bytes with the engine`,
    );
    assert.ok(later > 0 && whole + later < 400_000, `${whole + later} bytes in all`);
    assert.ok(brotli > 0 && brotli < 70_000, `${brotli} bytes for Parquet packed by Brotli`);
    for (const name of files.keys()) {
      const text = await Deno.readTextFile(`${out}/${name}`);
      assert.doesNotMatch(text, /(?:src|href)="https?:|(?:from|import)\s*\(?"https?:/, name);
      assert.doesNotMatch(text, /\\n\/\/|Rotary position embedding/, `${name} has comments of kernels`);
    }
    const names = await Array.fromAsync(Deno.readDir(out), ({ name }) => name);
    assert.deepEqual(names.filter((name) => name.startsWith(".")), []);
  } finally {
    await Deno.remove(out, { recursive: true });
  }
});

Deno.test("withoutComments() leaves a kernel's statements as they are, line by line", () => {
  const text =
    "// what it does\n\nstruct Params { n: u32 } // one\n\n@compute\nfn main() {\n  let a = b / c;\n}\n";
  assert.equal(withoutComments(text), "struct Params { n: u32 }\n@compute\nfn main() {\nlet a = b / c;\n}");
});
