/**
 * Reading from Azure Blob Storage through fetch: the streams of Microsoft's library take half again the processor time and
 * twice the memory. Deno only.
 *
 * @see https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
 * @module
 */
import type { ContainerClient, StorageSharedKeyCredential } from "@azure/storage-blob";

/** Of the REST interface. */
const VERSION = "2021-12-02";
/** Headers that a signature covers by their place, beside all that begin with `x-ms-`. */
const SIGNED = [
  "content-encoding",
  "content-language",
  "content-length",
  "content-md5",
  "content-type",
  "date",
  "if-modified-since",
  "if-match",
  "if-none-match",
  "if-unmodified-since",
  "range",
] as const;

/** Bytes of a file to ask for. */
export interface AzureRead {
  readonly name: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal | undefined;
}

/** A refusal, with the fields that errors of Microsoft's library have. */
export class AzureRefusal extends Error {
  constructor(readonly statusCode: number, readonly code: string) {
    super(`status ${statusCode}`);
  }
}

/** Asks with the container's credentials. @throws {AzureRefusal} Unless the answer is one of success. */
export async function readAzure(
  container: ContainerClient,
  { name, headers, signal }: AzureRead,
): Promise<Response> {
  const url = new URL(container.getBlobClient(name).url);
  const all = { ...headers, "x-ms-date": new Date().toUTCString(), "x-ms-version": VERSION };
  const { credential } = container;
  const authorization = "computeHMACSHA256" in credential
    ? { authorization: sharedKey(credential as StorageSharedKeyCredential, url, all) }
    : {}; // the address holds a signature
  const response = await fetch(url, { headers: { ...all, ...authorization }, signal: signal ?? null });
  if (response.ok) return response;
  await response.body?.cancel();
  throw new AzureRefusal(response.status, response.headers.get("x-ms-error-code") ?? "");
}

function sharedKey(
  credential: StorageSharedKeyCredential,
  url: URL,
  headers: Readonly<Record<string, string>>,
): string {
  const own = Object.keys(headers).filter((key) => key.startsWith("x-ms-")).sort();
  const text = [
    "GET",
    ...SIGNED.map((key) => headers[key] ?? ""),
    ...own.map((key) => `${key}:${headers[key]}`),
    `/${credential.accountName}${url.pathname}`,
  ].join("\n");
  return `SharedKey ${credential.accountName}:${credential.computeHMACSHA256(text)}`;
}
