/**
 * What the OpenAPI document says, held against a server that runs: schemathesis makes requests from it that are right, wrong
 * and in sequence, and looks at each answer. Without tokens, with one, and with none where they are needed.
 *
 *     deno task schemathesis [--seed N] [--examples N]
 *
 * @module
 */
import { parseArgs } from "node:util";
import { installPython, pythonPrograms } from "../helpers/python_packages.ts";
import { ROWS, uploadForm } from "../helpers/server_app.ts";
import { newToken, startServer } from "../helpers/server_process.ts";

const HOOKS = decodeURIComponent(new URL("schemathesis_hooks.py", import.meta.url).pathname);

/** Who sends requests, and to which server. */
const WAYS = [
  { name: "without tokens", hasTokens: false, sends: false },
  { name: "with a token", hasTokens: true, sends: true },
  { name: "without the token that is needed", hasTokens: true, sends: false },
] as const;

/** What comes out of one way. */
interface Outcome {
  readonly name: string;
  readonly cases: string;
  readonly operations: string;
  readonly failed: boolean;
}

/** Statuses that schemathesis takes for an answer to a right request. */
const USUAL = ["2xx", "3xx", 401, 403, 404, 409, 429, "5xx"];

/** Values that are there, so that requests get beyond "not found"; the other half is made up. */
function configuration(fileId: string): string {
  const known: Record<string, [parameter: string, ...values: string[]]> = {
    kinds: ["path.kind", "local"],
    places: ["path.place", "pages"],
    names: ["path.file", "a.txt", "b.bin"],
    models: ["body.model", "lowrank-tiny"],
    files: ["body.training_file", fileId],
  };
  const entries = Object.entries(known);
  const dictionaries = entries.map(([name, [, ...values]]) =>
    `[dictionaries.${name}]\nvalues = ${JSON.stringify(values)}\n`
  );
  const parameters = entries.map(([name, [parameter]]) =>
    `"${parameter}" = { dictionary = "${name}", probability = 0.5 }`
  );
  const reasons = [
    "# beside the default: conditions and ranges depend on the file that is there, and sizes on the operator's limits",
    `checks.positive_data_acceptance.expected-statuses = ${JSON.stringify([...USUAL, 412, 413, 416])}`,
  ];
  const operations = [
    "# options restrict each other in ways that no schema says, and keys are used once",
    "[[operations]]",
    'include-operation-id = "createFineTuningJob"',
    `checks.positive_data_acceptance.expected-statuses = ${JSON.stringify([...USUAL, 400, 413, 422])}`,
    "# whether a prompt fits depends on the model, and what may be done to a job on its state",
    "[[operations]]",
    'include-path-regex = "completions$|/(cancel|pause|resume)$"',
    `checks.positive_data_acceptance.expected-statuses = ${JSON.stringify([...USUAL, 400])}`,
  ];
  return [
    `hooks = ${JSON.stringify(HOOKS)}`,
    ...reasons,
    ...dictionaries,
    "[parameters]",
    ...parameters,
    ...operations,
    "",
  ].join("\n");
}

async function run(
  { name, hasTokens, sends }: typeof WAYS[number],
  { seed, examples }: { seed: string; examples: string },
): Promise<Outcome> {
  const folder = await Deno.makeTempDir({ prefix: "lowrank-schemathesis-" });
  await Deno.mkdir(`${folder}/pages`);
  const token = hasTokens ? await newToken(folder, "schemathesis") : null;
  const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
  const limits = ["--max-requests", "1000000", "--max-queued-jobs", "2", "--quiet"];
  const server = await startServer(folder, ["--storage", `pages=${folder}/pages:rw`, ...limits]);
  try {
    const sent = { method: "POST", body: uploadForm(ROWS.repeat(4)), headers };
    const { id } = await (await fetch(`${server.origin}/v1/files`, sent)).json();
    await Deno.writeTextFile(`${folder}/schemathesis.toml`, configuration(id));
    const child = new Deno.Command(`${pythonPrograms("schemathesis")}/schemathesis`, {
      args: [
        ...["--config-file", `${folder}/schemathesis.toml`, "run", `${server.origin}/openapi.json`],
        ...["--seed", seed, "--max-examples", examples, "--continue-on-failure", "--no-color"],
        ...(sends ? ["--header", `Authorization: Bearer ${token}`] : []),
      ],
      cwd: folder,
      env: { PYTHONDONTWRITEBYTECODE: "1" },
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const text = await new Response(child.stdout).text(), { code } = await child.status;
    const found = (pattern: RegExp) => pattern.exec(text)?.[1] ?? "?";
    const ended = await server.stop();
    if (code !== 0) console.log(text);
    if (ended.code !== 0) console.log(`the server ended with code ${ended.code}:\n${ended.err}`);
    return {
      name,
      cases: found(/(\d+) generated/),
      operations: found(/Tested: (\d+)/),
      failed: code !== 0 || ended.code !== 0,
    };
  } finally {
    await server.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

const { values } = parseArgs({
  args: Deno.args,
  options: { seed: { type: "string", default: "1" }, examples: { type: "string", default: "50" } },
});
console.log(`schemathesis ${await installPython("schemathesis")}`);
let failed = false;
for (const way of WAYS) {
  const outcome = await run(way, values);
  const verdict = outcome.failed ? "FAILED" : "0 failures";
  console.log(`${outcome.name}: ${outcome.operations} operations, ${outcome.cases} requests, ${verdict}`);
  failed ||= outcome.failed;
}
Deno.exit(failed ? 1 : 0);
