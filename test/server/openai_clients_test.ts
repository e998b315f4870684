/**
 * OpenAI's own clients against a server that trains: each goes through the example that bears its name.
 */
import assert from "node:assert/strict";
import { device } from "../helpers/device.ts";
import { pythonPrograms } from "../helpers/python_packages.ts";
import { newToken, startServer } from "../helpers/server_process.ts";

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const python = pythonPrograms("openai");

/** What both examples tell, in order. */
const TOLD = [
  /^uploaded: signals\.jsonl, 2384 bytes$/m,
  /^refused: UnprocessableEntityError: .*422.* Idempotency-Key/m,
  /^refused: RateLimitError: .*429/m,
  /^refused: BadRequestError: .*Cannot cancel a job that is cancelled/m,
  /^trained: ft:lowrank-tiny:lowrank:signals:\w{8}, \d+ tokens$/m,
  /^events: \d\d on \d+ pages; The job has successfully completed$/m,
  /^checkpoints: 24,16$/m,
  /^results: step_metrics\.csv, metrics\.jsonl, adapter\.zip, merged\.zip$/m,
  /^answered: ".+", \d+ tokens$/m,
  /^refused: InternalServerError: .*500/m,
  /^refused: AuthenticationError: .*401/m,
  /^refused: PermissionDeniedError: .*403.* lacks the scope files:write/m,
  /^refused: NotFoundError: .*404/m,
  /^refused: (API|APIStatus)Error: .*413/m,
  /^refused: ConflictError: .*409.* in use/m,
  /^refused: APIConnectionError: /m,
  /^deleted: model and files?$/m,
];

Deno.test({
  name: device ? "OpenAI's clients go through training and chat" : "OpenAI's clients (no adapter)",
  ignore: !device || Deno.build.os === "windows",
  async fn(test) {
    const folder = await Deno.makeTempDir({ prefix: "lowrank-openai-" });
    try {
      await Deno.mkdir(`${folder}/models/unfinished`, { recursive: true });
      await Deno.writeTextFile(`${folder}/models/unfinished/config.json`, "{}");
      const key = await newToken(folder, "ada"), reader = await newToken(folder, "reader", "jobs:read");
      const server = await startServer(folder, ["--max-file-mb", "1", "--max-queued-jobs", "1"]);
      const { origin } = server;
      const walk = async (command: string, args: readonly string[]): Promise<string> => {
        const env = {
          OPENAI_BASE_URL: `${origin}/v1`,
          OPENAI_API_KEY: key,
          READER_KEY: reader,
          NO_COLOR: "1",
        };
        const { code, stdout, stderr } = await new Deno.Command(command, { args: [...args], env }).output();
        const text = new TextDecoder().decode(stdout);
        assert.equal(code, 0, `${text}\n${new TextDecoder().decode(stderr)}`);
        let rest = text;
        for (const line of TOLD) {
          const found = line.exec(rest);
          assert.ok(found, `${line} is not told after what comes before it:\n${text}`);
          rest = rest.slice(found.index + found[0].length);
        }
        return text;
      };
      try {
        await test.step("for JavaScript", async () => {
          const config = ["--config", `${ROOT}deno.json`, "--no-prompt", "--no-check"];
          const text = await walk(Deno.execPath(), [
            "run",
            "-A",
            ...config,
            `${ROOT}examples/openai_client.ts`,
          ]);
          assert.match(text, /^refused: APIUserAbortError: /m);
        });
        await test.step({
          name: `for Python${python ? "" : " (openai for Python is not installed: deno task emulators)"}`,
          ignore: !python,
          fn: async () => void await walk(`${python}/python`, [`${ROOT}examples/openai_client.py`]),
        });
        await test.step("and a reader hears all of a job in order, and no path", async () => {
          const get = (path: string, accept: string) =>
            fetch(`${origin}/v1/fine_tuning/jobs${path}`, {
              headers: { accept, authorization: `Bearer ${reader}` },
            });
          const { data } = await (await get("", "application/json")).json();
          const done: { id: string } = data.find(({ status }: { status: string }) => status === "succeeded");
          const told = await (await get(`/${done.id}/events`, "text/event-stream")).text(); // to its end, with the job's
          assert.match(told, /Step 24\/24: training loss=\d/);
          assert.match(told, /event: done\nid: \d+\ndata: \[DONE\]\n\n$/);
          const numbers = [...told.matchAll(/^id: (\d+)\nevent: m/gm)].map(([, id]) => Number(id));
          assert.deepEqual(numbers, numbers.map((_, i) => i + 1));
          assert.ok(!told.includes(folder), "no path is told");
        });
      } finally {
        const { code, err } = await server.stop();
        assert.equal(code, 0, err);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
