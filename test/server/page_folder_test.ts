import assert from "node:assert/strict";
import { pageFolder } from "../../server/cli/page_folder.ts";

Deno.test("pageFolder() takes the page that the program was handed on with, and builds one where there is none", async () => {
  const root = await Deno.makeTempDir(), nothing = `${root}/no-such-program`;
  try {
    const page = pageFolder(`${root}/`, `${root}/data`, nothing);
    await assert.rejects(page, Deno.errors.NotFound); // of the program that builds
    await Deno.mkdir(`${root}/page`);
    await Deno.writeTextFile(`${root}/page/index.html`, "<!doctype html>");
    assert.equal(await page(), `${root}/page`);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
