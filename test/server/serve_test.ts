/**
 * The commands serve and token as processes of their own.
 */
import assert from "node:assert/strict";
import { startFirestore } from "../helpers/firestore.ts";
import { ROWS, uploadForm } from "../helpers/server_app.ts";
import { serverCommand, startServer } from "../helpers/server_process.ts";

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "lowrank-serve-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("serve refuses a public address without tokens; token makes, lists and ends them", () =>
  withFolder(async (folder) => {
    const data = ["--data-dir", folder];
    const open = await serverCommand("serve", "--host", "0.0.0.0", "--port", "0", ...data);
    assert.equal(open.code, 2);
    assert.match(
      open.err,
      /^error: --host "0\.0\.0\.0" can be reached from other machines, and there is no token/,
    );
    const loud = await serverCommand("serve", "--log-level", "loud", "--color", "always", ...data);
    assert.equal(loud.code, 2);
    assert.ok(loud.err.startsWith("\x1b[31merror:\x1b[0m --log-level must be one of off, error, "), loud.err);
    const made = await serverCommand(
      "token",
      "create",
      "--name",
      "laptop",
      "--scopes",
      "jobs:read,files:read",
      ...data,
    );
    assert.match(made.out, /^lowrank_[A-Za-z0-9]{12}_[A-Za-z0-9]{43}\n$/);
    const { tokens: [{ id, name, scopes }] } = JSON.parse(
      (await serverCommand("token", "list", "--json", ...data)).out,
    );
    assert.deepEqual([name, scopes], ["laptop", ["jobs:read", "files:read"]]);
    assert.equal((await serverCommand("token", "revoke", id, ...data)).out, `revoked ${id}\n`);
    const wrong = await serverCommand("token", "create", "--name", "x", "--scopes", "jobs:reed", ...data);
    assert.deepEqual([wrong.code, /did you mean "jobs:read"/.test(wrong.err)], [2, true]);
  }));

Deno.test({
  name: "serve answers without tokens on loopback, holds its folder, and stops when told",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withFolder(async (folder) => {
      const server = await startServer(folder);
      try {
        assert.match(server.greeting, /\(no tokens: for programs of this machine only\)/);
        const sent = { method: "POST", body: uploadForm(ROWS) };
        const { id, status } = await (await fetch(`${server.origin}/v1/files`, sent)).json();
        assert.deepEqual([/^file-/.test(id), status], [true, "processed"]);
        const second = await serverCommand("serve", "--port", "0", "--data-dir", folder);
        assert.deepEqual([second.code, /in use by another server/.test(second.err)], [2, true]);
      } finally {
        const { code, err } = await server.stop();
        assert.equal(code, 0, err);
      }
    }),
});

Deno.test({
  name:
    "the launcher starts a server that reads and writes the folders of --storage, and tells Firestore of its jobs",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withFolder(async (folder) => {
      for (const name of ["data", "kept", "out"]) await Deno.mkdir(`${folder}/${name}`);
      await Deno.writeTextFile(`${folder}/kept/a.txt`, "kept");
      const places = `kept=${folder}/kept,out=${folder}/out:rw`, firestore = await startFirestore();
      await Deno.mkdir(`${folder}/models/unfinished`, { recursive: true });
      await Deno.writeTextFile(`${folder}/models/unfinished/config.json`, "{}"); // a job on it fails at once
      const stores = ["--storage", places, "--firestore-project", "test", "--models-dir", `${folder}/models`];
      const server = await startServer(`${folder}/data`, stores, {
        launched: true,
        env: {
          VK_DRIVER_FILES: "/made/up.json", // so that none is looked for
          FIRESTORE_EMULATOR_HOST: firestore.host,
          METADATA_SERVER_DETECTION: "none",
        },
      });
      try {
        const post = async (path: string, init: RequestInit) =>
          await (await fetch(`${server.origin}/v1/${path}`, { method: "POST", ...init })).json();
        const { id: training_file } = await post("files", { body: uploadForm(ROWS) });
        const body = JSON.stringify({ model: "unfinished", training_file });
        const job = await post("fine_tuning/jobs", { body, headers: { "content-type": "application/json" } });
        const watch = await firestore.watch("jobs", job.id);
        const write = async (path: string) =>
          (await fetch(`${server.origin}/api/storage/local/${path}`, { method: "PUT", body: "new" })).status;
        const read = await fetch(`${server.origin}/api/storage/local/kept/a.txt`);
        assert.deepEqual([read.status, await read.text()], [200, "kept"]);
        assert.deepEqual([await write("out/below/b.txt"), await write("kept/a.txt")], [200, 403]);
        assert.equal(await Deno.readTextFile(`${folder}/out/below/b.txt`), "new");
        const { error } = (await watch.until("failed")).at(-1)!;
        assert.match(error!, /^Cannot read "config\.json"/);
      } finally {
        const { code, err } = await server.stop();
        await firestore.stop();
        assert.equal(code, 0, err);
      }
    }),
});
