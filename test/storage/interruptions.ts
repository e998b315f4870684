/**
 * What every backend of a network does when connections break, credentials are wrong or the server is down.
 *
 * @module
 */
import assert from "node:assert/strict";
import { StorageDeniedError, StorageInterruptedError } from "../../src/errors.ts";
import type { StorageManager } from "../../src/storage_manager.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import type { RetryPolicy } from "../../src/storage/retry.ts";
import type { CuttingProxy } from "../helpers/cutting_proxy.ts";
import { noise, PART, same } from "./storage_contract.ts";
import { uploadInChild } from "./upload_child.ts";

/** A backend behind a proxy. */
export interface InterruptedSubject {
  readonly storage: StorageManager;
  readonly proxy: CuttingProxy;
  /** The same bucket with other limits. */
  readonly within: (retries: RetryPolicy) => StorageManager;
  /** What tells another process of the bucket behind the proxy. */
  readonly env: Readonly<Record<string, string>>;
  /** The same bucket asked with credentials that the server does not take; null where it takes any. */
  readonly stranger: StorageManager | null;
  /** A server that is not there. */
  readonly down: StorageManager;
  /** What no message may contain. */
  readonly secrets: readonly string[];
}

export function interruptionTests(
  kind: string,
  withSubject: (check: (subject: InterruptedSubject) => Promise<void>) => Promise<void>,
  ignore: string | null,
): void {
  const test = (says: string, check: (subject: InterruptedSubject) => Promise<void>) =>
    Deno.test({
      name: `${kind} ${says}${ignore ? ` (skipped: ${ignore})` : ""}`,
      ignore: ignore !== null,
      fn: () => withSubject(check),
    });

  test("gets every byte over connections that are cut", async ({ storage, proxy }) => {
    const bytes = noise(20_000_003);
    const local = new MemoryFolder("local", { big: bytes, small: noise(70_001, 3) });
    proxy.cutAfter(1_000_000, 9_000_000, 200_000, 12_000_000);
    await storage.uploadFolder(local, "up", { concurrency: 2 });
    proxy.cutAfter(3_000_000, 5_000_000, 100_000);
    const back = new MemoryFolder();
    await storage.downloadFolder("up", back);
    for (const name of ["big", "small"]) {
      const [sent, got] = await Promise.all([local, back].map((folder) => folder.open(name)));
      assert.equal(got!.size, sent!.size);
      assert.ok(same(await got!.read(0, got!.size), await sent!.read(0, sent!.size)), name);
    }
    assert.ok(proxy.cut >= 5, `${proxy.cut} connections were cut`);
  });

  test("goes on where a process was killed", async ({ storage, proxy, env }) => {
    const folder = await Deno.makeTempDir();
    try {
      const bytes = noise(7 * PART + 5);
      await Deno.writeFile(`${folder}/big`, bytes);
      const held = proxy.holdAfter(5.5 * PART); // four parts may be on their way, so one at least has arrived
      const killed = uploadInChild(storage.uri, folder, env);
      await Promise.race([held, killed.status]);
      killed.kill("SIGKILL");
      assert.equal((await killed.status).success, false);
      proxy.drop(); // else a part that no answer was heard of may still come whole, and fake-gcs-server keeps it twice
      assert.equal(await storage.exists("big"), false);
      const before = proxy.passed;
      const next = uploadInChild(storage.uri, folder, env);
      assert.equal((await next.status).success, true);
      assert.ok(proxy.passed - before < bytes.length - PART / 2, `${proxy.passed - before} bytes passed`);
      assert.ok(same(await storage.read("big"), bytes));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });

  test("gives up where every connection is cut", async ({ storage, proxy, within }) => {
    const local = new MemoryFolder("local", { small: noise(70_001), big: noise(2 * PART + 1) });
    const quick = within({ attempts: 4, pauseMs: 5, stallMs: 600_000 }); // a cut must be noticed as one
    for (const name of ["small", "big"]) {
      proxy.cutAfter(...Array(100).fill(1000));
      await assert.rejects(quick.uploadFile(local, name, name), StorageInterruptedError);
      proxy.cutAfter();
      assert.equal(await storage.exists(name), false);
    }
    assert.equal((await storage.uploadFile(local, "small", "small")).size, 70_001);
  });

  test("gives up requests on which nothing moves", async ({ storage, proxy, within }) => {
    const local = new MemoryFolder("local", { small: noise(1001), big: noise(PART + 1) });
    const there = await storage.uploadFile(local, "big", "there");
    const impatient = within({ attempts: 2, pauseMs: 5, stallMs: 100 });
    const asks: readonly [number, () => Promise<unknown>][] = [
      [1, () => impatient.stat("there")],
      [1, () => impatient.listPage()],
      [1, () => impatient.uploadFile(local, "small", "small")],
      [1, () => impatient.uploadFile(local, "big", "big")],
      [1_000_000, () => Array.fromAsync(impatient.stream(there), ({ length }) => length)],
      [1, () => impatient.remove("there")],
    ];
    for (const [bytes, ask] of asks) {
      void proxy.holdAfter(bytes);
      await assert.rejects(ask, (error: Error) => {
        assert.ok(error instanceof StorageInterruptedError, `${error.stack}`);
        assert.match(error.message, /as nothing moved for [\d.]+ s on its connection: check the network/);
        return true;
      });
      proxy.drop();
    }
  });

  test("leaves at once when it is told to", async ({ storage, proxy }) => {
    const asks: readonly ((signal: AbortSignal) => Promise<unknown>)[] = [
      (signal) => storage.write("stopped", noise(70_001), null, signal),
      (signal) => storage.remove("stopped", null, signal),
      (signal) => storage.listPage({ signal }),
    ];
    for (const ask of asks) {
      const stop = new AbortController(), held = proxy.holdAfter(1);
      const asked = ask(stop.signal);
      asked.catch(() => {}); // it is waited for below
      await held;
      stop.abort(new Error("stopped by a test"));
      await assert.rejects(asked, /^Error: stopped by a test/);
      proxy.drop();
    }
  });

  test("tells of a server that is down, without a secret", async ({ down, secrets }) => {
    const local = new MemoryFolder("local", { small: "x", big: noise(9 << 20) });
    for (
      const ask of [
        () => down.stat("f"),
        () => down.listPage(),
        () => down.write("f", new Uint8Array(1)),
        () => down.uploadFile(local, "big", "f"),
      ]
    ) {
      await assert.rejects(ask, (error: Error) => {
        assert.ok(error instanceof StorageInterruptedError, `${error.stack}`);
        assert.match(error.message, /Cannot (look at|list|write) ".*" as the connection failed/);
        refuseSecrets(error, secrets);
        return true;
      });
    }
  });

  test("tells wrong credentials from missing files, without a secret", async ({ stranger, secrets }) => {
    if (stranger === null) return;
    for (
      const ask of [
        () => stranger.stat("f"),
        () => stranger.exists("f"),
        () => stranger.listPage(),
        () => stranger.write("f", new Uint8Array(1)),
        () => stranger.downloadFolder("f", new MemoryFolder()),
        () => stranger.uploadFile(new MemoryFolder("l", { big: noise(9 << 20) }), "big", "f"),
      ]
    ) {
      await assert.rejects(ask, (error: Error) => {
        assert.ok(error instanceof StorageDeniedError, `${error.stack}`);
        assert.match(error.message, /status 40[13]\): (set|check) [A-Z]/);
        refuseSecrets(error, secrets);
        return true;
      });
    }
  });
}

/** Nothing of an error, its causes and its fields, may hold a secret. */
function refuseSecrets(error: Error, secrets: readonly string[]): void {
  const all = Deno.inspect(error, { depth: 20, showHidden: true }) + (error.stack ?? "");
  for (const secret of secrets) assert.ok(!all.includes(secret), `a secret is in: ${error.message}`);
}
