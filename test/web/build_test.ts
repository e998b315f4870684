import assert from "node:assert/strict";
import { buildWeb, pageSizes } from "../../web/build.ts";

Deno.test("the page shows after 150 kB, and trains after 300 kB, all gzipped", async () => {
  const out = await Deno.makeTempDir({ prefix: "lowrank-web-" });
  try {
    await buildWeb(out);
    const { initial, whole, files } = await pageSizes(out);
    assert.ok(files.has("main.js") && files.has("worker.js"));
    assert.ok(initial > files.get("main.js")! && initial < 150_000, `${initial} bytes before the page shows`);
    assert.ok(
      whole > initial + files.get("worker.js")! / 2 && whole < 300_000,
      `${whole} bytes with the engine`,
    );
    for (const name of files.keys()) {
      const text = await Deno.readTextFile(`${out}/${name}`);
      assert.doesNotMatch(text, /(?:src|href)="https?:|(?:from|import)\s*\(?"https?:/, name);
    }
  } finally {
    await Deno.remove(out, { recursive: true });
  }
});
