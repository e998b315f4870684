import assert from "node:assert/strict";
import { bodyOf } from "../../src/storage/answer_body.ts";
import { StallError, watched } from "../../src/storage/stall.ts";

const later = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
/** A timer that is due earlier runs earlier, however busy the machine is. */
const STEP_MS = 20, STALL_MS = 100, STEPS = 10;

Deno.test("watched() waits for what moves, however long it takes, and for no more", async () => {
  const slow = watched(
    async ({ moved }) => {
      for (let i = 0; i < STEPS; i++) {
        await later(STEP_MS);
        moved();
      }
      return "done";
    },
    STALL_MS,
    undefined,
  );
  assert.equal(await slow, "done");
  let given: AbortSignal | null = null;
  const silent = watched(
    ({ signal }) => {
      given = signal;
      return new Promise(() => {}); // heeds no signal
    },
    STALL_MS,
    undefined,
  );
  await assert.rejects(silent, (error: Error) => error instanceof StallError && given!.reason === error);
});

Deno.test("watched() leaves with the reason of its signal, and starts nothing after it", async () => {
  const stop = new AbortController(), reason = new Error("stopped by a test");
  const left = watched(() => new Promise(() => {}), STALL_MS, stop.signal);
  stop.abort(reason);
  await assert.rejects(left, reason);
  await assert.rejects(watched(() => assert.fail("started"), STALL_MS, stop.signal), reason);
});

Deno.test("bodyOf() gives what comes slowly, and fails where nothing comes", async () => {
  for (const type of ["bytes", undefined] as const) {
    const attempt = { verb: "read", uri: "x://b/f", stallMs: STALL_MS } as const;
    const stream = (end: (controller: ReadableStreamController<Uint8Array>) => void) => {
      let sent = 0;
      const source = {
        async pull(controller: ReadableStreamController<Uint8Array<ArrayBuffer>>) {
          if (sent === STEPS) return end(controller);
          await later(STEP_MS);
          (controller as ReadableStreamDefaultController).enqueue(new Uint8Array([sent++]));
        },
      };
      return (type ? new ReadableStream({ ...source, type }) : new ReadableStream(source)) as ReadableStream<
        Uint8Array<ArrayBuffer>
      >;
    };
    const got: number[] = [];
    const closed = stream((controller) => {
      controller.close();
      (controller as ReadableByteStreamController).byobRequest?.respond(0);
    });
    for await (const piece of bodyOf(attempt, closed)) got.push(...piece);
    assert.deepEqual(got, Array.from({ length: STEPS }, (_, i) => i));
    const silent = bodyOf(attempt, stream(() => {}));
    await assert.rejects(Array.fromAsync(silent), {
      name: "StorageInterruptedError",
      message:
        'Cannot read "x://b/f" as nothing moved for 0.1 s on its connection: check the network and the service, ' +
        "then try again",
    });
  }
});
