/**
 * The server as a process of its own, with real jobs.
 */
import assert from "node:assert/strict";
import { device } from "../helpers/device.ts";
import { type Ended, ended } from "../helpers/run_launcher.ts";
import { ROWS, uploadForm } from "../helpers/server_app.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const RIGHTS = ["--no-prompt", "--allow-read", "--allow-write", "--allow-env", "--allow-run", "--allow-net"];

function command(args: readonly string[]): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--config", `${ROOT}deno.json`, ...RIGHTS, `${ROOT}server/main.ts`, ...args],
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  });
}

async function output(...args: string[]): Promise<Ended> {
  return ended(await command(args).output());
}

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
    const open = await output("serve", "--host", "0.0.0.0", "--port", "0", ...data);
    assert.equal(open.code, 2);
    assert.match(
      open.err,
      /^error: --host "0\.0\.0\.0" can be reached from other machines, and there is no token/,
    );
    const made = await output(
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
      (await output("token", "list", "--json", ...data)).out,
    );
    assert.deepEqual([name, scopes], ["laptop", ["jobs:read", "files:read"]]);
    assert.equal((await output("token", "revoke", id, ...data)).out, `revoked ${id}\n`);
    const wrong = await output("token", "create", "--name", "x", "--scopes", "jobs:reed", ...data);
    assert.deepEqual([wrong.code, /did you mean "jobs:read"/.test(wrong.err)], [2, true]);
  }));

Deno.test({
  name: device
    ? "serve trains the bundled model as a client asks, and stops when told"
    : "serve (no adapter)",
  ignore: !device || Deno.build.os === "windows",
  fn: () =>
    withFolder(async (folder) => {
      const server = command(["serve", "--port", "0", "--data-dir", folder]).spawn();
      const errors = new Response(server.stderr).text();
      const lines = server.stdout.pipeThrough(new TextDecoderStream()).getReader();
      try {
        const [, base] = /^serving (http:\S+) \(no tokens/.exec((await lines.read()).value!)!;
        const ask = async (path: string, init: RequestInit = {}) =>
          await (await fetch(base + path, init)).json();
        const file = await ask("/files", { method: "POST", body: uploadForm(ROWS.repeat(8)) });
        const job = await ask("/fine_tuning/jobs", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({
            model: "lowrank-tiny",
            training_file: file.id,
            method: {
              type: "supervised",
              supervised: {
                hyperparameters: { max_steps: 2, batch_size: 2, max_length: 32, save: "adapter" },
              },
            },
          }),
        });
        const stream = await fetch(`${base}/fine_tuning/jobs/${job.id}/events`, {
          headers: { accept: "text/event-stream" },
        });
        const told = await stream.text(); // to its end, with the job's
        const done = await ask(`/fine_tuning/jobs/${job.id}`);
        assert.equal(done.status, "succeeded", `${JSON.stringify(done)}\n${told}`);
        assert.match(told, /Step 2\/2: training loss=\d/);
        assert.match(told, /event: done\nid: \d+\ndata: \[DONE\]\n\n$/);
        const numbers = [...told.matchAll(/^id: (\d+)\nevent: m/gm)].map(([, id]) => Number(id));
        assert.deepEqual(numbers, numbers.map((_, i) => i + 1));
        assert.ok(!told.includes(folder), "no path is told");
        const archive = done.result_files.at(-1);
        const zip = await (await fetch(`${base}/files/${archive}/content`)).arrayBuffer();
        assert.equal(zip.byteLength, (await ask(`/files/${archive}`)).bytes);
        const { data: [checkpoint] } = await ask(`/fine_tuning/jobs/${job.id}/checkpoints`);
        assert.equal(checkpoint.step_number, 2);
        assert.ok(checkpoint.metrics.train_loss > 0);
        const second = await output("serve", "--port", "0", "--data-dir", folder);
        assert.deepEqual([second.code, /in use by another server/.test(second.err)], [2, true]);
      } finally {
        server.kill("SIGTERM");
        const { code } = await server.status;
        await lines.cancel();
        assert.equal(code, 0, await errors);
      }
    }),
});
