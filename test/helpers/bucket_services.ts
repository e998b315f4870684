/**
 * The servers that stand for Google's and Azure's buckets, started as every test and benchmark wants them.
 *
 * @module
 */
import { type RunningServer, startEmulator } from "./emulators.ts";

/**
 * Starts fake-gcs-server, empty and in memory.
 *
 * @param publicPort Where clients reach it, if not at its own port: it tells sessions of uploads as addresses, which must lead
 * through a proxy too.
 */
export function startGcs(publicPort?: number): Promise<RunningServer> {
  return startEmulator("fake-gcs-server", (port) => {
    const address = `127.0.0.1:${publicPort ?? port}`;
    return [
      ...["-scheme", "http", "-host", "127.0.0.1", "-port", String(port), "-backend", "memory"],
      ...["-public-host", address, "-external-url", `http://${address}`],
    ];
  });
}

/** Makes a bucket there. @throws {Error} If it is not made. */
export async function makeGcsBucket(endpoint: string, name: string): Promise<void> {
  const body = JSON.stringify({ name });
  const headers = { "content-type": "application/json" };
  const made = await fetch(`${endpoint}/storage/v1/b?project=test`, { method: "POST", body, headers });
  await made.body?.cancel();
  if (made.status !== 200) throw new Error(`the bucket "${name}" was not made: status ${made.status}`);
}

/** An account of Azure. */
export interface AzureAccount {
  readonly name: string;
  /** In Base64. */
  readonly key: string;
}

/** Starts azurite, empty and in memory, with one account. */
export function startAzurite({ name, key }: AzureAccount): Promise<RunningServer> {
  return startEmulator("azurite", (port) => [
    ...["--blobHost", "127.0.0.1", "--blobPort", String(port), "--inMemoryPersistence", "--silent"],
    ...["--disableTelemetry", "--skipApiVersionCheck"],
  ], { AZURITE_ACCOUNTS: `${name}:${key}` });
}

/** What AZURE_STORAGE_CONNECTION_STRING is set to, to reach it at a port. */
export function azureConnection(port: number, { name, key }: AzureAccount): string {
  return `DefaultEndpointsProtocol=http;AccountName=${name};AccountKey=${key};BlobEndpoint=http://127.0.0.1:${port}/${name}`;
}
