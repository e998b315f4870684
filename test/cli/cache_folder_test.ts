import assert from "node:assert/strict";
import { cachePath } from "../../src/cli/cache_folder.ts";

Deno.test("cachePath() follows each system's custom", () => {
  assert.equal(cachePath({ HOME: "/home/ada" }, "linux"), "/home/ada/.cache/lowrank");
  assert.equal(cachePath({ HOME: "/home/ada", XDG_CACHE_HOME: "/tmp/c" }, "linux"), "/tmp/c/lowrank");
  assert.equal(cachePath({ HOME: "/Users/ada" }, "darwin"), "/Users/ada/Library/Caches/lowrank");
  assert.equal(cachePath({ LOCALAPPDATA: "C:\\Users\\ada" }, "windows"), "C:\\Users\\ada\\lowrank");
  assert.deepEqual([cachePath({}, "linux"), cachePath({ HOME: "/x" }, "windows")], [null, null]);
});
