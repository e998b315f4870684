/**
 * One container of Azure Blob Storage through Microsoft's library, and what its refusals mean. Deno only.
 *
 * @module
 */
import type { ContainerClient } from "@azure/storage-blob";
import { StorageDamagedError } from "../errors.ts";
import { type AzureRead, readAzure } from "./azure_requests.ts";
import { variable } from "./environment.ts";
import {
  type Advice,
  type Attempt,
  interrupted,
  logRequest,
  networkFailure,
  noBucket,
  patienceMs,
  statusFailure,
} from "./failures.ts";
import { type Watch, watched } from "./stall.ts";

/** How to get to the service. What is not given comes from the variables that Azure's tools read. */
export interface AzureOptions {
  /** Account and key in one text; `UseDevelopmentStorage=true` is azurite. Default: AZURE_STORAGE_CONNECTION_STRING. */
  readonly connectionString?: string;
  /** Name of the account. Default: AZURE_STORAGE_ACCOUNT. */
  readonly account?: string;
  /** Its key. Default: AZURE_STORAGE_KEY. */
  readonly key?: string;
  /** A shared access signature in place of a key. Default: AZURE_STORAGE_SAS_TOKEN. */
  readonly sasToken?: string;
}

const ADVICE: Advice = {
  bucket: "container",
  denied: "check AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT with AZURE_STORAGE_KEY or " +
    "AZURE_STORAGE_SAS_TOKEN, and what they may do with this container",
};

/** Asks one container, without trying again. */
export class AzureClient {
  readonly #container: string;
  readonly #options: AzureOptions;
  #client: Promise<ContainerClient> | null = null;

  constructor(container: string, options: AzureOptions) {
    this.#container = container;
    this.#options = options;
  }

  /**
   * What the container gives.
   *
   * @param unseenBytes Bytes that the request sends. It must not ask the library to tell of them: that tells once, at their
   * beginning, and where the connection breaks such a request never ends.
   * @throws What a refusal means.
   */
  async ask<T>(
    attempt: Attempt,
    request: (container: ContainerClient, signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
    unseenBytes = 0,
  ): Promise<T> {
    signal?.throwIfAborted();
    const client = await (this.#client ??= this.#connect(attempt));
    const start = performance.now();
    try {
      const ask = ({ signal }: Watch) => request(client, signal);
      const answer = await watched(ask, patienceMs(attempt, unseenBytes), signal);
      logRequest(attempt, start, "ok");
      return answer;
    } catch (error) {
      const failure = azureFailure(attempt, error, signal);
      logRequest(attempt, start, failure instanceof Error ? failure.name : "stopped");
      throw failure;
    }
  }

  /** An answer whose body are the bytes of a file. @throws What a refusal means. */
  async read(attempt: Attempt, request: AzureRead): Promise<Response> {
    return await this.ask(
      attempt,
      (container, signal) => readAzure(container, { ...request, signal }),
      request.signal,
    );
  }

  async #connect(attempt: Attempt): Promise<ContainerClient> {
    const { ContainerClient, StorageSharedKeyCredential } = await import("@azure/storage-blob");
    const once = { retryOptions: { maxTries: 1 } };
    const { connectionString = variable("AZURE_STORAGE_CONNECTION_STRING") } = this.#options;
    const account = this.#options.account ?? variable("AZURE_STORAGE_ACCOUNT");
    const key = this.#options.key ?? variable("AZURE_STORAGE_KEY");
    const sasToken = this.#options.sasToken ?? variable("AZURE_STORAGE_SAS_TOKEN");
    if (connectionString && this.#options.account === undefined) {
      return new ContainerClient(connectionString, this.#container, once);
    }
    const url = `https://${account}.blob.core.windows.net/${this.#container}`;
    if (account && key) return new ContainerClient(url, new StorageSharedKeyCredential(account, key), once);
    if (account && sasToken) {
      return new ContainerClient(`${url}?${sasToken.replace(/^\?/, "")}`, undefined, once);
    }
    throw statusFailure(attempt, ADVICE, 401);
  }
}

/** The project's error for one of the library, whose own holds the request with its signature. */
export function azureFailure(attempt: Attempt, error: unknown, signal?: AbortSignal): unknown {
  if (signal?.aborted) return signal.reason;
  const { statusCode, code, details } = error as {
    statusCode?: number;
    code?: string;
    details?: { errorCode?: string };
  };
  const word = details?.errorCode ?? code ?? "";
  if (statusCode === undefined) return networkFailure(attempt, error, signal);
  if (word === "ContainerNotFound" || word === "ContainerBeingDeleted") return noBucket(attempt, ADVICE);
  if (word === "Md5Mismatch") {
    return new StorageDamagedError(
      `The upload of "${attempt.uri}" arrived with another checksum than it was sent with (${word}): upload it again`,
    );
  }
  if (word === "ServerBusy" || word === "OperationTimedOut") {
    return interrupted(attempt, `the service answered with ${word}`);
  }
  return statusFailure(attempt, ADVICE, statusCode);
}
