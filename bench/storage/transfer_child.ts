/**
 * A process that moves one folder once, by Lowrank or by the library of the store's maker, and tells what it took.
 *
 * @module
 */
import process from "node:process";
import { timed } from "../clock.ts";
import { peakResidentOf } from "../process_memory.ts";

/** Stores that are measured. */
export const STORES = ["gcs", "s3", "azure", "local"] as const;
export type StoreName = typeof STORES[number];

/** What moves folders to a bucket and back. */
export interface Mover {
  upload(folder: string): Promise<unknown>;
  download(folder: string): Promise<unknown>;
}

/** What the process is asked to do. Where the store is and who asks, its environment says. */
export interface TransferRequest {
  readonly by: "Lowrank" | "SDK";
  readonly store: StoreName;
  readonly direction: keyof Mover;
  /** Such as `s3://bench`. */
  readonly uri: string;
  readonly folder: string;
}

/** What it tells. */
export interface TransferReport {
  /** From loading the library to the last file. */
  readonly wallMs: number;
  /** Processor time of the whole process, its start included. */
  readonly cpuMs: number;
  /** Resident memory at most, bytes; null where the system does not tell. */
  readonly peakResidentBytes: number | null;
}

const SELF = decodeURIComponent(new URL(import.meta.url).pathname);
const CONFIGS = { Lowrank: "../../deno.json", SDK: "../sdks.json" } as const;

/** Runs the process and waits. @throws {Error} If it fails, with its last words. */
export async function transferInChild(
  request: TransferRequest,
  env: Readonly<Record<string, string>>,
): Promise<TransferReport> {
  const config = decodeURIComponent(new URL(CONFIGS[request.by], import.meta.url).pathname);
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--config", config, "--no-check", "--no-prompt", "--allow-all", SELF].concat(
      JSON.stringify(request),
    ),
    env: { ...env },
  }).output();
  if (success) return JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1)!);
  const said = new TextDecoder().decode(stderr).trim().slice(-1000);
  throw new Error(`Cannot measure ${request.direction} to ${request.store} by ${request.by}: ${said}`);
}

async function moverOf({ by, store, uri }: TransferRequest): Promise<Mover> {
  if (by === "Lowrank") return await (await import("./lowrank.ts")).lowrankMover(uri);
  switch (store) {
    case "gcs":
      return (await import("./gcs_sdk.ts")).gcsMover(new URL(uri).host);
    case "s3":
      return await (await import("./s3_sdk.ts")).s3Mover(new URL(uri).host);
    case "azure":
      return (await import("./azure_sdk.ts")).azureMover(new URL(uri).host);
    case "local":
      return (await import("./copied_folder.ts")).copyMover(uri);
  }
}

if (import.meta.main) {
  const request: TransferRequest = JSON.parse(Deno.args[0]!);
  const { wallMs } = await timed(async () => (await moverOf(request))[request.direction](request.folder));
  const { user, system } = process.cpuUsage();
  const report: TransferReport = {
    wallMs,
    cpuMs: (user + system) / 1000,
    peakResidentBytes: await peakResidentOf("self"),
  };
  console.log(JSON.stringify(report));
  Deno.exit(0); // connections that are kept would hold the process
}
