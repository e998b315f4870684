/**
 * Signed requests to one bucket of S3, and what its refusals mean.
 *
 * @module
 */
import type { AwsClient } from "aws4fetch";
import { StorageDamagedError, StorageDeniedError, StorageNotFoundError } from "../errors.ts";
import { variable } from "./environment.ts";
import { type Advice, type Attempt, fetchFor, interrupted, noBucket, statusFailure } from "./failures.ts";
import { textOf } from "./s3_xml.ts";
import type { Watch } from "./stall.ts";

/** How to get to the service. What is not given comes from the variables that Amazon's tools read. */
export interface S3Options {
  /** Another address than Amazon's, such as `http://127.0.0.1:9000`. Default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL. */
  readonly endpoint?: string;
  /** Default: AWS_REGION, AWS_DEFAULT_REGION, us-east-1. */
  readonly region?: string;
  /** Default: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. */
  readonly credentials?: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
}

/** One request, below the bucket. */
export interface S3Request {
  readonly attempt: Attempt;
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** Name of a file; the bucket itself without it. */
  readonly name?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer> | undefined;
  readonly signal?: AbortSignal | undefined;
}

const ADVICE: Advice = {
  bucket: "bucket",
  denied:
    "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, and what they may do with this bucket",
};
const DAMAGED = /^(BadDigest|InvalidDigest|XAmzContent(SHA256|Checksum)Mismatch|InvalidChecksum)$/;
const EXPIRED = /^(ExpiredToken|InvalidToken|TokenRefreshRequired|AuthorizationHeaderMalformed)$/;

export class S3Client {
  readonly #bucket: string;
  readonly #options: S3Options;
  readonly #base: string;
  readonly #region: string;
  #signer: Promise<AwsClient> | null = null;

  constructor(bucket: string, options: S3Options) {
    this.#bucket = bucket;
    this.#options = options;
    this.#region = options.region ?? variable("AWS_REGION", "AWS_DEFAULT_REGION") ?? "us-east-1";
    const endpoint = options.endpoint ?? variable("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL");
    this.#base = endpoint
      ? `${endpoint.replace(/\/+$/, "")}/${bucket}`
      // a certificate for *.s3 does not cover names with dots
      : bucket.includes(".")
      ? `https://s3.${this.#region}.amazonaws.com/${bucket}`
      : `https://${bucket}.s3.${this.#region}.amazonaws.com`;
  }

  /** Sends a request. @throws What the answer means, unless it is one of success. */
  async send(request: S3Request): Promise<Response> {
    const { attempt, method, name, query = {}, headers = {}, body, signal } = request;
    const path = name === undefined ? "" : name.split("/").map(encodeURIComponent).join("/");
    const url = new URL(`${this.#base}/${path}`);
    for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
    const signer = await (this.#signer ??= this.#connect(attempt));
    const digest = await sha256(body ?? new Uint8Array());
    // signed without its body, which a Request would copy
    const signed = await signer.sign(url.href, {
      method,
      headers: { ...headers, "x-amz-content-sha256": digest },
    });
    const sent = { method, headers: signed.headers, body: body ?? null };
    const ask = ({ signal }: Watch) => fetch(signed.url, { ...sent, signal });
    const response = await fetchFor(attempt, ask, signal, body?.length);
    if (response.ok) return response;
    throw await this.#failure(request, response);
  }

  /** Sends a request and reads the XML of its answer. Some failures come with a status of success. */
  async ask(request: S3Request): Promise<{ readonly xml: string; readonly headers: Headers }> {
    const response = await this.send(request);
    const xml = await fetchFor(request.attempt, () => response.text(), request.signal);
    if (xml.includes("<Error>")) throw this.#meaning(request.attempt, textOf(xml, "Code") ?? "", 500);
    return { xml, headers: response.headers };
  }

  async #failure(request: S3Request, response: Response): Promise<unknown> {
    const { attempt, method, name } = request;
    const { status } = response;
    const xml = await response.text().catch(() => "");
    const code = textOf(xml, "Code") ?? "";
    if (status === 404 && method === "HEAD" && name !== undefined) {
      // an answer to HEAD has no body that could say what is missing
      const probe = { attempt, method: "GET", query: { "list-type": "2", "max-keys": "1" } } as const;
      return await this.send(probe).then(
        async (there) => {
          await there.body?.cancel();
          return statusFailure(attempt, ADVICE, status);
        },
        (error) => error,
      );
    }
    return this.#meaning(attempt, code, status);
  }

  #meaning(attempt: Attempt, code: string, status: number): Error {
    if (code === "NoSuchBucket" || code === "InvalidBucketName") return noBucket(attempt, ADVICE);
    if (code === "NoSuchUpload") {
      return new StorageNotFoundError(
        `Cannot go on with the upload of "${attempt.uri}" as the service forgot it: begin it again`,
      );
    }
    if (DAMAGED.test(code)) {
      return new StorageDamagedError(
        `The upload of "${attempt.uri}" arrived with another checksum than it was sent with (${code}): upload it again`,
      );
    }
    if (EXPIRED.test(code)) return statusFailure(attempt, ADVICE, 403);
    if (code === "SlowDown" || code === "InternalError" || code === "RequestTimeout") {
      return interrupted(attempt, `the service answered with ${code}`);
    }
    if (status === 301 || status === 307) {
      return new StorageDeniedError(
        `Cannot ${attempt.verb} "${attempt.uri}" as bucket "${this.#bucket}" is not in region ${this.#region}: ` +
          "set AWS_REGION to its own",
      );
    }
    return statusFailure(attempt, ADVICE, status);
  }

  async #connect(attempt: Attempt): Promise<AwsClient> {
    const { credentials } = this.#options;
    const accessKeyId = credentials?.accessKeyId ?? variable("AWS_ACCESS_KEY_ID");
    const secretAccessKey = credentials?.secretAccessKey ?? variable("AWS_SECRET_ACCESS_KEY");
    const sessionToken = credentials ? credentials.sessionToken : variable("AWS_SESSION_TOKEN");
    if (!accessKeyId || !secretAccessKey) throw statusFailure(attempt, ADVICE, 401);
    const { AwsClient } = await import("aws4fetch");
    return new AwsClient({
      accessKeyId,
      secretAccessKey,
      ...(sessionToken ? { sessionToken } : {}),
      service: "s3",
      region: this.#region,
      retries: 0,
    });
  }
}

/** The digest that is signed, which the service compares with the body. */
async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
