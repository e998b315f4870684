/**
 * Requests with bodies to Azure Blob Storage, through fetch: Microsoft's library moves them through streams that cost several
 * times the processor time and memory. Deno only.
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

/** One request about a file. */
export interface AzureRequest {
  readonly method: "GET" | "PUT";
  readonly name: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer>;
  readonly signal?: AbortSignal | undefined;
}

/** A refusal, with the fields that errors of Microsoft's library have. */
export class AzureRefusal extends Error {
  constructor(readonly statusCode: number, readonly code: string) {
    super(`status ${statusCode}`);
  }
}

/** Sends a request with the container's credentials. @throws {AzureRefusal} Unless the answer is one of success. */
export async function sendAzure(container: ContainerClient, request: AzureRequest): Promise<Response> {
  const { method, name, query = {}, body = null, signal = null } = request;
  const url = new URL(container.getBlobClient(name).url);
  for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
  const headers = { ...request.headers, "x-ms-date": new Date().toUTCString(), "x-ms-version": VERSION };
  const { credential } = container;
  const authorization = "computeHMACSHA256" in credential
    ? { authorization: sharedKey(credential as StorageSharedKeyCredential, url, { ...request, headers }) }
    : {}; // the address holds a signature
  const response = await fetch(url, { method, headers: { ...headers, ...authorization }, body, signal });
  if (response.ok) return response;
  await response.body?.cancel();
  throw new AzureRefusal(response.status, response.headers.get("x-ms-error-code") ?? "");
}

function sharedKey(
  credential: StorageSharedKeyCredential,
  url: URL,
  { method, query = {}, headers, body }: AzureRequest,
): string {
  const said: Readonly<Record<string, string>> = body
    ? { ...headers, "content-length": `${body.length || ""}` }
    : headers;
  const own = Object.keys(headers).filter((key) => key.startsWith("x-ms-")).sort();
  const text = [
    method,
    ...SIGNED.map((key) => said[key] ?? ""),
    ...own.map((key) => `${key}:${headers[key]}`),
    `/${credential.accountName}${url.pathname}`,
    ...Object.keys(query).sort().map((key) => `${key}:${query[key]}`),
  ].join("\n");
  return `SharedKey ${credential.accountName}:${credential.computeHMACSHA256(text)}`;
}
