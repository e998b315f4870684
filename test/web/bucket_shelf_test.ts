import assert from "node:assert/strict";
import { signal } from "@preact/signals";
import { BucketShelf, courseOf } from "../../web/page/bucket_shelf.ts";
import { type Asking, RefusedError } from "../../web/page/engine.ts";
import type { JobInputs } from "../../web/page/job_inputs.ts";
import type { PageSession } from "../../web/page/session.ts";
import type { BucketModelFacts, DownloadProgress, KeptModel } from "../../web/protocol/models.ts";

/** A question to the worker that waits for the test. */
interface Waiting {
  readonly question: string;
  readonly input: Record<string, unknown>;
  readonly asking: Asking<"downloadModel">;
  readonly answer: (value: unknown) => void;
  readonly refuse: (name: string) => void;
}

const PATH = "gs/bucket/models/ember", ACCESS = { api: "http://page.test/", token: "" };

function shelfOf(kept: readonly KeptModel[] = []) {
  const asked: Waiting[] = [];
  let looks = 0;
  const session = {
    engine: {
      ask: (question: string, input: Record<string, unknown>, asking: Waiting["asking"] = {}) =>
        new Promise((answer, refused) => {
          const refuse = (name: string) => refused(new RefusedError({ name, message: name, issues: [] }));
          asked.push({ question, input, asking, answer, refuse });
        }),
    },
    server: { access: ACCESS, places: signal(["gs/bucket/models"]) },
    busy: signal(false),
    form: { values: signal({ base_model: "models/tiny" }), checked: signal({ config: {} }) },
  };
  const inputs = {
    kept: signal(kept),
    lookAtKept: () => {
      looks++;
      return Promise.resolve();
    },
  };
  const shelf = new BucketShelf(session as unknown as PageSession, inputs as unknown as JobInputs);
  return { shelf, asked, session, looks: () => looks };
}

const progress = (bytes: number, problem: string | null = null): DownloadProgress => {
  const plain = problem === null ? null : { name: "StorageInterruptedError", message: problem, issues: [] };
  return { bytes, totalBytes: 1000, received: bytes, problem: plain };
};

/** Lets what waits for an answer go on. */
const settled = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("a download tells how far it is, and what there is of the model afterwards", async () => {
  const { shelf, asked, looks } = shelfOf();
  const over = shelf.start(PATH, "ember");
  assert.equal(courseOf(shelf.download.value!), "asking the server");
  const { input, asking, answer } = asked[0]!;
  assert.deepEqual(input, { server: ACCESS, path: PATH });
  asking.onNote!(progress(250));
  assert.equal(courseOf(shelf.download.value!), "250 B of 1.00 kB");
  asking.onNote!(progress(250, "gone"));
  assert.equal(courseOf(shelf.download.value!), "250 B of 1.00 kB; the connection broke, trying again");
  await shelf.start(PATH, "ember");
  assert.equal(asked.length, 1, "two downloads at the same time");
  answer("device/models/ember");
  await over;
  assert.deepEqual([shelf.download.value, shelf.arrived.value], [null, "device/models/ember"]);
  assert.equal(shelf.told.value, "ember is on this device.");
  assert.equal(looks(), 1);
});

Deno.test("speed and time that is left are told once they are known", () => {
  const download = {
    path: PATH,
    name: "ember",
    progress: progress(400),
    bytesPerSecond: 200,
    secondsLeft: 3,
  };
  assert.equal(courseOf(download), "400 B of 1.00 kB, 200 B/s, 00:03 left");
});

Deno.test("a download that ends before its end says why, unless it was cancelled", async () => {
  const { shelf, asked, looks } = shelfOf();
  const broken = shelf.start(PATH, "ember");
  asked[0]!.refuse("StorageInterruptedError");
  await broken;
  assert.equal(shelf.problem.value!.name, "StorageInterruptedError");
  const cancelled = shelf.start(PATH, "ember");
  assert.equal(shelf.problem.value, null);
  shelf.cancel();
  assert.equal(asked[1]!.asking.signal!.aborted, true);
  asked[1]!.refuse("AbortError");
  await cancelled;
  assert.deepEqual([shelf.problem.value, shelf.told.value, looks()], [null, "", 2]);
});

Deno.test("of two models that are looked at, the one that was chosen last is shown", async () => {
  const { shelf, asked, session } = shelfOf();
  void shelf.choose(PATH);
  assert.deepEqual(asked[0]!.input.config, { base_model: "models/tiny" });
  session.busy.value = true;
  void shelf.choose("gs/bucket/models/coal");
  assert.equal(asked[0]!.asking.signal!.aborted, true);
  assert.equal(asked[1]!.input.config, null, "a plan was asked for while a run takes the GPU");
  const facts = { downloadBytes: 7 } as BucketModelFacts;
  asked[1]!.answer(facts);
  asked[0]!.answer({ downloadBytes: 3 });
  await settled();
  assert.deepEqual(shelf.look.value, { value: facts, problem: null, waiting: false });
});

Deno.test("a model stands on the device as its download left it", () => {
  const kept = (revision: string, download: KeptModel["download"]): KeptModel => {
    return { uri: "device/models/ember", bytes: 5, source: { path: PATH, revision }, download };
  };
  const standing = (...models: KeptModel[]) => shelfOf(models).shelf.standing(PATH, "now").state;
  assert.equal(standing(), "absent");
  assert.equal(standing(kept("now", { bytes: 1, totalBytes: 5 })), "begun");
  assert.equal(standing(kept("now", null)), "here");
  assert.equal(standing(kept("before", null)), "changed");
});
