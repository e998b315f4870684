import assert from "node:assert/strict";
import { chatPath, readChatSubject, readRoute } from "../../web/page/router.ts";
import type { ChatSubject } from "../../web/protocol/chat.ts";

Deno.test("readRoute() takes an address apart, and what names no view for the first one", () => {
  assert.deepEqual(readRoute(""), { view: "train", rest: null });
  assert.deepEqual(readRoute("#/history"), { view: "history", rest: null });
  assert.deepEqual(readRoute("#/run/a%20b"), { view: "run", rest: "a b" });
  assert.deepEqual(readRoute("#/runs/x"), { view: "train", rest: null });
  assert.deepEqual(readRoute("#/run/100%"), { view: "run", rest: "100%" });
});

Deno.test("readChatSubject() takes back what chatPath() made", () => {
  const subjects: ChatSubject[] = [
    { kind: "run", run: "a b%", checkpoint: null },
    { kind: "run", run: "signals", checkpoint: 50 },
    { kind: "base", baseModel: "device/models/tiny llama" },
    { kind: "server", model: "ft:ada/ember:lowrank:a b:12345678" },
  ];
  for (const subject of subjects) {
    const { view, rest } = readRoute(`#/${chatPath(subject)}`);
    assert.equal(view, "chat");
    assert.deepEqual(readChatSubject(rest), subject);
  }
  assert.deepEqual(
    [null, "", "run", "run/", "base", "server", "x/y"].map(readChatSubject),
    Array(7).fill(null),
  );
});
