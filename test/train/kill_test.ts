/**
 * Five runs, each killed once and resumed. `deno task kills` does more.
 */
import assert from "node:assert/strict";
import { device } from "../helpers/device.ts";
import { describe, drawKills, finish, leftIn, runAndKill, runFolder, undisturbed } from "./kills.ts";

const name =
  "a run killed in a write, in a sync, before or after a rename, or at any time, ends as an undisturbed one";

Deno.test({
  name: device ? name : `${name} (no adapter)`,
  ignore: !device || Deno.build.os === "windows",
  fn: async () => {
    const want = await undisturbed();
    for (const kill of drawKills(1, 5, want)) {
      const folder = await runFolder();
      try {
        const killed = await runAndKill(folder, kill);
        // a time may come after the end; an operation that was counted must come
        assert.ok(killed || "afterMs" in kill, describe(kill));
        await finish(folder);
        assert.deepEqual(await leftIn(folder), want.left, describe(kill));
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    }
  },
});
