/**
 * Moves a folder of a gigabyte to each kind of bucket and back, by Lowrank and by the library of the store's maker:
 *
 *     deno task bench:storage [--only gcs,s3,azure,local] [--rounds 5] [--size 1000] [--dir FOLDER] [--json FILE]
 *
 * `--size` is in megabytes, `--dir` where folders and servers' files are (default: the system's temporary folder). Writes
 * `bench/results/storage.md` when nothing was left out; prints it always. Exit code 1 where a store failed.
 *
 * @module
 */
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { thisMachine } from "../src/cli/doctor_machine.ts";
import { VERSION } from "../src/version.ts";
import { chosenParts } from "./options.ts";
import { checkCopy, filesOf, type MadeFile, writeFiles } from "./storage/folder.ts";
import { formatStorage, type StoreRounds } from "./storage/report.ts";
import { isMissing, MEASURED, type Store } from "./storage/services.ts";
import { transferInChild, type TransferReport, type TransferRequest } from "./storage/transfer_child.ts";

const RESULTS = decodeURIComponent(new URL("./results/storage.md", import.meta.url).pathname);
const SEED = 20261129;

const { values: flags } = parseArgs({
  options: {
    only: { type: "string" },
    rounds: { type: "string", default: "5" },
    size: { type: "string", default: "1000" },
    dir: { type: "string" },
    json: { type: "string" },
  },
});

function usage(problem: string): never {
  console.error(`error: ${problem}`);
  Deno.exit(2);
}

function positive(name: "rounds" | "size"): number {
  const value = Number(flags[name]);
  if (Number.isInteger(value) && value >= 1) return value;
  usage(`--${name} must be a whole number from 1: current value is "${flags[name]}"`);
}

/** One program's upload to an empty store and its download of the same. */
async function roundOf(
  store: Store,
  by: TransferRequest["by"],
  made: { readonly scratch: string; readonly folder: string; readonly files: readonly MadeFile[] },
): Promise<{ readonly upload: TransferReport; readonly download: TransferReport }> {
  const kept = Deno.makeTempDirSync({ dir: made.scratch }), copy = `${made.scratch}/copy`;
  const running = await store.start(kept);
  try {
    const request = { by, store: store.name, uri: running.uri };
    const upload = await transferInChild(
      { ...request, direction: "upload", folder: made.folder },
      running.env,
    );
    const download = await transferInChild({ ...request, direction: "download", folder: copy }, running.env);
    checkCopy(made.folder, copy, made.files);
    return { upload, download };
  } finally {
    await running.stop();
    for (const folder of [kept, copy]) await Deno.remove(folder, { recursive: true }).catch(() => {});
  }
}

async function measure(
  store: Store,
  rounds: number,
  made: Parameters<typeof roundOf>[2],
): Promise<StoreRounds> {
  const ours: StoreRounds["ours"][number][] = [], theirs: StoreRounds["theirs"][number][] = [];
  for (let round = 0; round < rounds; round++) {
    console.error(`${store.name}, round ${round + 1} of ${rounds} ...`);
    theirs.push(await roundOf(store, "SDK", made));
    ours.push(await roundOf(store, "Lowrank", made));
  }
  return { store, ours, theirs };
}

const rounds = positive("rounds"), megabytes = positive("size");
const stores = chosenParts(MEASURED, flags.only ?? null);
if ("problem" in stores) usage(stores.problem);
const missing = stores.chosen.map(isMissing).find((why) => why !== null);
if (missing) usage(missing);

const load = loadavg()[0]!;
const scratch = await Deno.makeTempDir({
  prefix: "lowrank-bench-",
  ...(flags.dir ? { dir: flags.dir } : {}),
});
const found: StoreRounds[] = [], failures: string[] = [];
try {
  const made = { scratch, folder: `${scratch}/original`, files: filesOf(megabytes * 1e6) };
  writeFiles(made.folder, made.files, SEED);
  for (const store of stores.chosen) {
    await measure(store, rounds, made).then(
      (one) => found.push(one),
      (error) => failures.push(error.message),
    );
  }
} finally {
  await Deno.remove(scratch, { recursive: true });
}

const processors = cpus();
const heading = {
  date: new Date().toISOString().slice(0, 10),
  lowrank: VERSION,
  cpu: `${processors.length} x ${processors[0]?.model ?? "unknown"}`,
  runtime: thisMachine().runtime,
  load,
  command: ["deno task bench:storage", ...Deno.args].join(" "),
};
const report = formatStorage(heading, found, failures);
console.log(report);
if (flags.json) {
  await Deno.writeTextFile(flags.json, JSON.stringify({ ...heading, megabytes, found }, null, 2));
}
if (!flags.only && megabytes >= 1000 && failures.length === 0) {
  await Deno.writeTextFile(RESULTS, report);
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", RESULTS] }).output(); // aligns its tables
  console.error(`written: ${RESULTS}`);
}
Deno.exit(failures.length > 0 ? 1 : 0);
