/**
 * The servers that stand for the clouds, started empty, each with a bucket.
 *
 * @module
 */
import { ContainerClient } from "@azure/storage-blob";
import {
  azureConnection,
  makeGcsBucket,
  startAzurite,
  startGcs,
} from "../../test/helpers/bucket_services.ts";
import { emulatorCommand, type EmulatorName, startEmulator } from "../../test/helpers/emulators.ts";
import type { StoreName } from "./transfer_child.ts";

const BUCKET = "bench";

/** A store that runs. */
export interface RunningStore {
  readonly uri: string;
  /** What tells a process where it is and who asks. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** A store to measure. */
export interface Store {
  readonly name: StoreName;
  /** The server and what is beside Lowrank, for the report. */
  readonly server: string;
  readonly peer: string;
  /** What has to be installed; null for a folder. */
  readonly emulator: EmulatorName | null;
  /** @param scratch An empty folder for what it keeps. */
  start(scratch: string): Promise<RunningStore>;
}

const KEYS = { id: "bench-key-id", secret: "bench-secret" };

export const MEASURED: readonly Store[] = [
  {
    name: "gcs",
    server: "fake-gcs-server, in memory",
    peer: "TransferManager of @google-cloud/storage",
    emulator: "fake-gcs-server",
    async start() {
      const { port, stop } = await startGcs();
      const endpoint = `http://127.0.0.1:${port}`;
      await makeGcsBucket(endpoint, BUCKET);
      return { uri: `gs://${BUCKET}`, env: { STORAGE_EMULATOR_HOST: endpoint }, stop };
    },
  },
  {
    name: "s3",
    server: "versitygw, on files",
    peer: "Upload and GetObject of @aws-sdk",
    emulator: "versitygw",
    async start(scratch) {
      Deno.mkdirSync(`${scratch}/${BUCKET}`);
      const { port, stop } = await startEmulator(
        "versitygw",
        (port) => ["--port", `127.0.0.1:${port}`, "posix", scratch],
        { ROOT_ACCESS_KEY: KEYS.id, ROOT_SECRET_KEY: KEYS.secret },
      );
      const env = {
        AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
        AWS_REGION: "us-east-1",
        AWS_ACCESS_KEY_ID: KEYS.id,
        AWS_SECRET_ACCESS_KEY: KEYS.secret,
      };
      return { uri: `s3://${BUCKET}`, env, stop };
    },
  },
  {
    name: "azure",
    server: "azurite, in memory",
    peer: "uploadFile and downloadToFile of @azure/storage-blob",
    emulator: "azurite",
    async start() {
      const account = { name: "bench", key: btoa(KEYS.secret) };
      const { port, stop } = await startAzurite(account);
      const connection = azureConnection(port, account);
      await new ContainerClient(connection, BUCKET).create();
      return { uri: `az://${BUCKET}`, env: { AZURE_STORAGE_CONNECTION_STRING: connection }, stop };
    },
  },
  {
    name: "local",
    server: "a folder",
    peer: "the system's copy, each file synced",
    emulator: null,
    start(scratch) {
      return Promise.resolve({ uri: scratch, env: {}, stop: () => Promise.resolve() });
    },
  },
];

/** Why a store cannot be measured here; null if it can. */
export function isMissing({ emulator }: Store): string | null {
  return emulator === null || emulatorCommand(emulator)
    ? null
    : `${emulator} is not installed: deno task emulators`;
}
