/**
 * Attacks on the server by name: requests, and the answers that are wanted.
 *
 * @module
 */
import assert from "node:assert/strict";
import { ROWS, uploadForm } from "../helpers/server_app.ts";

type Sent = string | FormData | ReadableStream<Uint8Array<ArrayBuffer>> | Uint8Array<ArrayBuffer>;

/** A request, and what is wanted of its answer. */
export interface Attack {
  readonly what: string;
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON. */
  readonly body?: Sent | object;
  /** Its status, or several that are all right. */
  readonly status: number | readonly number[];
  /** Of a refusal. */
  readonly code?: string;
  /** What else must hold. */
  readonly check?: (response: Response, text: string) => void;
}

export const JOBS = "/v1/fine_tuning/jobs";
export const FILES = "/v1/files";
const CHAT = "/v1/chat/completions";
const GIB = 2 ** 30;
export const JSON_TYPE = { "content-type": "application/json" };

/** A stream of so many bytes, of no told length. */
function stream(bytes: number, byte = 0x20): ReadableStream<Uint8Array<ArrayBuffer>> {
  let left = bytes;
  return new ReadableStream({
    pull(controller) {
      const size = Math.min(left, 65_536);
      controller.enqueue(new Uint8Array(size).fill(byte));
      if ((left -= size) === 0) controller.close();
    },
  });
}

export async function gzipped(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const body = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(body).arrayBuffer());
}

const ZIP = new Uint8Array([0x50, 0x4b, 0x03, 0x04, ...new Uint8Array(60)]);
const PARQUET = new TextEncoder().encode("PAR1and so onPAR1");

/** A form as bytes on the wire, for names that no client would send. */
export function rawForm(filename: string, content = ROWS): Pick<Attack, "method" | "headers" | "body"> {
  const head = (name: string) => `--b\r\nContent-Disposition: form-data; name="${name}"`;
  const body = `${head("purpose")}\r\n\r\nfine-tune\r\n${
    head("file")
  }; filename="${filename}"\r\n\r\n${content}\r\n--b--`;
  return { method: "POST", headers: { "content-type": "multipart/form-data; boundary=b" }, body };
}

function nested(depth: number): string {
  return `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
}

/** Things that are there to be reached: a file, a job, their ids. */
export interface Targets {
  readonly file: string;
  readonly job: string;
}

const chat = (more: object = {}) => ({ model: "tiny", messages: [{ role: "user", content: "x" }], ...more });

export function attacks(
  { file, job }: Targets,
  { zipped }: { zipped: Uint8Array<ArrayBuffer> },
): Record<string, Attack[]> {
  const newJob = (more: object = {}) => ({ model: "tiny", training_file: file, ...more });
  const option = (name: string, value: unknown): Attack => ({
    what: `an option of a job that names ${name}`,
    method: "POST",
    path: JOBS,
    body: newJob({ hyperparameters: { [name]: value } }),
    status: 400,
    code: "invalid_hyperparameters",
  });
  const model = (name: string): Attack => ({
    what: `a job from the model ${name}`,
    method: "POST",
    path: JOBS,
    body: newJob({ model: name }),
    status: 404,
    code: "model_not_found",
  });
  const saved = (response: Response) => {
    assert.equal(response.headers.get("content-type"), "application/octet-stream");
    assert.match(
      response.headers.get("content-disposition")!,
      /^attachment; filename="[ !#-~]+"; filename\*=UTF-8''[\w.%-]+$/,
    );
  };
  return {
    "path traversal": [
      { what: "a file's id with dots", path: `${FILES}/..%2f..%2fetc%2fpasswd`, status: 404 },
      { what: "its content", path: `${FILES}/..%2f..%2f..%2fetc%2fpasswd/content`, status: 404 },
      { what: "dots encoded twice", path: `${FILES}/%252e%252e%252fetc%252fpasswd/content`, status: 404 },
      { what: "backslashes", path: `${FILES}/..%5c..%5cetc%5cpasswd/content`, status: 404 },
      { what: "a byte of zero behind an id", path: `${FILES}/${file}%00.txt`, status: 404 },
      {
        what: "a model above the folder",
        path: "/v1/models/..%2f..%2fetc",
        status: 404,
        code: "model_not_found",
      },
      { what: "a model by its path", path: "/v1/models//etc/passwd", status: 404 },
      { what: "deletion of a model's folder", method: "DELETE", path: "/v1/models/tiny%2f..", status: 404 },
      {
        what: "a job above its folder",
        path: `${JOBS}/..%2f${job}`,
        status: 404,
        code: "fine_tune_not_found",
      },
      { what: "the events of one", path: `${JOBS}/..%2f..%2f/events`, status: 404 },
      { what: "a record by a path", path: "/api/jobs/..%2f..%2fetc", status: 400 },
      {
        what: "the database as a file of a model",
        path: "/api/models/tiny/files/..%2f..%2flowrank.db",
        status: 404,
      },
      {
        what: "a bucket's file above its prefix",
        path: "/api/storage/gs/b/data/..%2fsecret",
        status: 400,
        code: "invalid_path",
      },
      {
        what: "the same, decoded by the server",
        path: "/api/storage/gs/b/data/%2e%2e/secret",
        status: 403,
        code: "storage_not_allowed",
      },
      {
        what: "the disk through the proxy",
        path: "/api/storage/local/etc/passwd",
        status: 403,
        code: "storage_not_allowed",
      },
      {
        what: "a training file by its path",
        method: "POST",
        path: JOBS,
        body: newJob({ training_file: "../../../../etc/passwd" }),
        status: 404,
      },
      {
        what: "an upload whose name has folders",
        path: FILES,
        ...rawForm("../../../../tmp/owned.jsonl"),
        status: 200,
        check: (_, text) => assert.equal(JSON.parse(text).filename, "owned.jsonl"),
      },
      {
        what: "a job's suffix as a path",
        method: "POST",
        path: JOBS,
        body: newJob({ suffix: "../../x" }),
        status: 400,
        code: "invalid_value",
      },
    ],
    "server-side requests": [
      model("http://169.254.169.254/latest/meta-data"),
      model("gs://other-bucket/model"),
      model("hf://owner/model"),
      model("/etc"),
      option("base_model", "https://evil.example/model"),
      option("training_data_path", "file:///etc/passwd"),
      option("eval_data_path", "s3://other/data"),
      option("output_dir", "/etc"),
      option("output_uri", "gs://evil/out"),
      option("adapter_path", "http://127.0.0.1:9/adapter"),
      option("plugins", ["https://evil.example/plugin.ts"]),
      option("gcs_bucket", "evil"),
      {
        what: "the same by metadata",
        method: "POST",
        path: JOBS,
        body: newJob({ metadata: { "lowrank.base_model": "http://127.0.0.1/" } }),
        status: 400,
        code: "invalid_hyperparameters",
      },
      {
        what: "an integration that would be called",
        method: "POST",
        path: JOBS,
        body: newJob({ integrations: [{ type: "wandb", wandb: { project: "http://evil.example" } }] }),
        status: 400,
        code: "unsupported",
      },
      {
        what: "an image that would be fetched",
        method: "POST",
        path: CHAT,
        body: chat({
          messages: [{
            role: "user",
            content: [{ type: "image_url", image_url: { url: "http://169.254.169.254/" } }],
          }],
        }),
        status: 400,
      },
      {
        what: "the model of an answer by its address",
        method: "POST",
        path: CHAT,
        body: chat({ model: "http://127.0.0.1:9/model" }),
        status: 404,
        code: "model_not_found",
      },
      {
        what: "a bucket by its address",
        path: "/api/storage/http:%2f%2f169.254.169.254%2f",
        status: 400,
        code: "invalid_path",
      },
      {
        what: "another bucket by the query",
        path: "/api/storage/gs/b/data/a.txt?bucket=other&endpoint=http://evil",
        status: 200,
      },
    ],
    "header injection": [
      {
        what: "a file's name with line ends",
        path: FILES,
        ...rawForm("a%0d%0aset-cookie: x=1.jsonl"),
        status: 200,
      },
      {
        what: "a file's name with raw control characters",
        path: FILES,
        ...rawForm("a\u0000\u001b[31m\u202egnp.jsonl"),
        status: [200, 400],
        check: (_, text) => assert.ok(!/\\u0000|\\u001b|\u202e/.test(text), text),
      },
      {
        what: "a request id of the client's",
        path: FILES,
        headers: { "x-request-id": "forged" },
        status: 200,
        check: (response) => assert.match(response.headers.get("x-request-id")!, /^req_\w{24}$/),
      },
      {
        what: "a key of many characters",
        method: "POST",
        path: JOBS,
        headers: { "idempotency-key": "x".repeat(300) },
        body: newJob(),
        status: 400,
      },
      {
        what: "an address that another host is to answer",
        method: "POST",
        path: "/api/storage/gs/b/out/new",
        headers: {
          "x-forwarded-host": "evil.example",
          "x-forwarded-proto": "https",
          forwarded: "host=evil.example",
        },
        body: { bytes: 4 },
        status: 201,
        check: (response) =>
          assert.match(response.headers.get("location")!, /^\/api\/uploads\/upload-\w{24}$/),
      },
      {
        what: "line ends in a name that is echoed",
        path: "/v1/models/x%0d%0aset-cookie:%20a=b",
        status: 404,
      },
      { what: "the same where nothing is", path: "/x%0d%0aset-cookie:%20a=b", status: 404 },
    ],
    "decompression bombs": [
      {
        what: "Parquet",
        method: "POST",
        path: FILES,
        body: uploadForm(PARQUET, "a.parquet"),
        status: 400,
        code: "invalid_file_format",
      },
      {
        what: "Parquet under another name",
        method: "POST",
        path: FILES,
        body: uploadForm(PARQUET),
        status: 400,
        code: "invalid_file_format",
      },
      {
        what: "gzip",
        method: "POST",
        path: FILES,
        body: uploadForm(zipped),
        status: 400,
        code: "invalid_file_format",
      },
      {
        what: "zip",
        method: "POST",
        path: FILES,
        body: uploadForm(ZIP),
        status: 400,
        code: "invalid_file_format",
      },
      {
        what: "a compressed JSON body",
        method: "POST",
        path: JOBS,
        headers: { "content-type": "application/json", "content-encoding": "gzip" },
        body: zipped,
        status: [400, 415],
      },
      {
        what: "a compressed form",
        method: "POST",
        path: FILES,
        headers: { "content-type": "multipart/form-data; boundary=b", "content-encoding": "gzip" },
        body: zipped,
        status: [400, 415],
      },
    ],
    "bodies that are too large": [
      {
        what: "JSON above the limit",
        method: "POST",
        path: JOBS,
        headers: JSON_TYPE,
        body: " ".repeat(2 ** 20 + 1),
        status: 413,
      },
      {
        what: "the same of no told length",
        method: "POST",
        path: JOBS,
        headers: JSON_TYPE,
        body: stream(2 ** 20 + 1),
        status: 413,
      },
      {
        what: "chat above the limit",
        method: "POST",
        path: CHAT,
        body: chat({ user: "x".repeat(2 ** 20) }),
        status: 413,
      },
      {
        what: "a body where none is read",
        method: "POST",
        path: `${JOBS}/${job}/pause`,
        body: stream(2 ** 20 + 1),
        status: 413,
      },
      {
        what: "a form that tells its size",
        ...rawForm("a"),
        path: FILES,
        headers: { "content-type": "multipart/form-data; boundary=b", "content-length": String(8 * GIB) },
        status: 413,
        code: "file_too_large",
      },
      {
        what: "a form that does not",
        method: "POST",
        path: FILES,
        body: uploadForm(ROWS.repeat(1000)),
        status: 413,
        code: "file_too_large",
      },
      {
        what: "a file of a bucket",
        method: "PUT",
        path: "/api/storage/gs/b/out/x",
        headers: { "content-length": String(8 * GIB) },
        body: "x",
        status: 413,
        code: "file_too_large",
      },
      {
        what: "a form of many parts",
        path: FILES,
        ...rawForm(
          "a",
          ROWS + `--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n`.repeat(100).slice(2),
        ),
        status: 400,
      },
      {
        what: "a field of many characters",
        method: "POST",
        path: FILES,
        body: (() => {
          const form = uploadForm(ROWS);
          form.append("note", "x".repeat(10_000));
          return form;
        })(),
        status: 400,
      },
      {
        what: "a header of many characters",
        path: FILES,
        headers: { authorization: `Bearer ${"x".repeat(100_000)}` },
        status: 401,
      },
      { what: "a query of many characters", path: `${FILES}?after=${"x".repeat(50_000)}`, status: 400 },
      {
        what: "more metadata than a question has",
        path: `${JOBS}?${Array.from({ length: 40 }, (_, i) => `metadata[${i}]=x`).join("&")}`,
        status: 400,
      },
    ],
    "bodies that exhaust": [
      {
        what: "JSON nested deeply",
        method: "POST",
        path: JOBS,
        headers: JSON_TYPE,
        body: nested(100_000),
        status: 400,
      },
      {
        what: "JSON nested deeply behind what is asked for, kept by its key",
        method: "POST",
        path: JOBS,
        headers: { ...JSON_TYPE, "idempotency-key": "deep" },
        body: `{"model":"tiny","training_file":"${file}","x":${nested(100_000)}}`,
        status: 400,
      },
      {
        what: "brackets that never close",
        method: "POST",
        path: CHAT,
        headers: JSON_TYPE,
        body: "[".repeat(500_000),
        status: 400,
      },
      {
        what: "a number of many digits",
        method: "POST",
        path: JOBS,
        headers: JSON_TYPE,
        body: `{"seed":${"9".repeat(400_000)}}`,
        status: 400,
      },
      {
        what: "many names",
        method: "POST",
        path: JOBS,
        body: Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`k${i}`, i])),
        status: 400,
      },
      {
        what: "more answers than are given",
        method: "POST",
        path: CHAT,
        body: chat({ n: 10_000 }),
        status: 400,
      },
      { what: "a page without end", path: `${JOBS}?limit=1000000000`, status: 400 },
      { what: "a page of a negative size", path: `${JOBS}?limit=-1`, status: 400 },
      {
        what: "many ranges of one file",
        path: "/api/storage/gs/b/data/a.txt",
        headers: { range: `bytes=${Array.from({ length: 1000 }, (_, i) => `${i % 9}-`).join(",")}` },
        status: 200,
        check: (_, text) => assert.equal(text.length, 10),
      },
    ],
    "foreign pages": [
      {
        what: "a page of another origin",
        path: FILES,
        headers: { origin: "https://evil.example" },
        status: 403,
        code: "origin_not_allowed",
      },
      {
        what: "a page in a sandbox",
        path: FILES,
        headers: { origin: "null" },
        status: 403,
        code: "origin_not_allowed",
      },
      {
        what: "an origin that begins alike",
        path: FILES,
        headers: { origin: "https://tune.example.evil.example" },
        status: 403,
      },
      {
        what: "an origin that ends alike",
        path: FILES,
        headers: { origin: "https://eviltune.example" },
        status: 403,
      },
      {
        what: "the allowed one without TLS",
        path: FILES,
        headers: { origin: "http://tune.example" },
        status: 403,
      },
      { what: "a file of the disk", path: FILES, headers: { origin: "file://" }, status: 403 },
      {
        what: "a question by a browser for a foreign page",
        method: "OPTIONS",
        path: FILES,
        headers: { origin: "https://evil.example", "access-control-request-method": "DELETE" },
        status: [204, 403],
        check: ({ headers }) => assert.equal(headers.get("access-control-allow-origin"), null),
      },
      {
        what: "an allowed page: named, and without cookies",
        path: FILES,
        headers: { origin: "https://tune.example" },
        status: 200,
        check({ headers }) {
          assert.equal(headers.get("access-control-allow-origin"), "https://tune.example");
          assert.equal(headers.get("access-control-allow-credentials"), null);
          assert.match(headers.get("vary")!, /origin/i);
        },
      },
      {
        what: "a form of a foreign page",
        method: "POST",
        path: FILES,
        headers: { origin: "https://evil.example" },
        body: uploadForm(ROWS),
        status: 403,
      },
      {
        what: "JSON as plain text, which needs no question",
        method: "POST",
        path: JOBS,
        headers: { "content-type": "text/plain" },
        body: JSON.stringify(newJob()),
        status: 400,
      },
      {
        what: "JSON as a form",
        method: "POST",
        path: JOBS,
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: JSON.stringify(newJob()),
        status: 400,
      },
    ],
    "other methods": [
      {
        what: "DELETE by a header",
        method: "POST",
        path: `${FILES}/${file}`,
        headers: { "x-http-method-override": "DELETE" },
        status: 405,
      },
      {
        what: "DELETE by another header",
        path: `${FILES}/${file}`,
        headers: { "x-method-override": "DELETE" },
        status: 200,
      },
      { what: "DELETE by the query", path: `${FILES}/${file}?_method=DELETE`, status: 200 },
      { what: "cancellation by GET", path: `${JOBS}/${job}/cancel`, status: 405 },
      { what: "a method of nobody", method: "BREW", path: FILES, status: 405 },
      {
        what: "properties of a folder",
        method: "PROPFIND",
        path: "/api/storage/gs/b/data/",
        status: [404, 405],
      },
    ],
    "prototypes": [
      {
        what: "__proto__ as an option",
        method: "POST",
        path: JOBS,
        headers: JSON_TYPE,
        body: `{"model":"tiny","training_file":"${file}","hyperparameters":{"__proto__":{"polluted":1}}}`,
        status: [200, 400],
      },
      {
        what: "constructor as an option",
        method: "POST",
        path: JOBS,
        body: newJob({ hyperparameters: { constructor: { prototype: { polluted: 1 } } } }),
        status: 400,
      },
      {
        what: "an option of every object",
        method: "POST",
        path: JOBS,
        body: newJob({ hyperparameters: { toString: "auto" } }),
        status: 400,
      },
      {
        what: "__proto__ in the body",
        method: "POST",
        path: JOBS,
        headers: JSON_TYPE,
        body: `{"__proto__":{"polluted":1,"anonymous":true},"model":"tiny","training_file":"${file}"}`,
        status: 200,
      },
      {
        what: "__proto__ in metadata",
        method: "POST",
        path: JOBS,
        headers: JSON_TYPE,
        body: `{"model":"tiny","training_file":"${file}","metadata":{"__proto__":"polluted"}}`,
        status: [200, 400],
      },
      {
        what: "__proto__ in a question",
        path: `${JOBS}?metadata[__proto__]=x&__proto__[polluted]=1`,
        status: 200,
      },
      {
        what: "__proto__ in a record",
        method: "PATCH",
        path: "/api/jobs/run-1",
        headers: JSON_TYPE,
        body: `{"metadata":{"__proto__":"polluted","constructor":"x"}}`,
        status: [200, 400],
      },
      {
        what: "__proto__ in a conversation",
        method: "POST",
        path: CHAT,
        headers: JSON_TYPE,
        body:
          `{"model":"tiny","messages":[{"role":"user","content":"x","__proto__":{"polluted":1}}],"logit_bias":{"__proto__":1}}`,
        status: [200, 400],
      },
      { what: "a file called __proto__", path: `${FILES}/__proto__`, status: 404 },
      { what: "a model called constructor", path: "/v1/models/constructor", status: 404 },
    ],
    "SQL": [
      { what: "an id", path: `${FILES}/' OR 1=1 --`, status: 404 },
      {
        what: "where a page begins",
        path: `${FILES}?after=' UNION SELECT secret_hash FROM tokens --`,
        status: 400,
      },
      {
        what: "a purpose",
        path: `${FILES}?purpose=x' OR '1'='1`,
        status: 200,
        check: (_, text) => assert.deepEqual(JSON.parse(text).data, []),
      },
      {
        what: "a name of metadata",
        path: `${JOBS}?metadata[x') OR 1%3D1 --]=1`,
        status: 200,
        check: (_, text) => assert.deepEqual(JSON.parse(text).data, []),
      },
      { what: "an event", path: `${JOBS}/${job}/events?after=1 OR 1=1`, status: 400 },
    ],
    "files that a browser would run": [
      ...["a.html", "a.svg", "a.js", "a.jsonl\r\nx"].map((name): Attack => ({
        what: `an upload called ${JSON.stringify(name)}`,
        path: FILES,
        ...rawForm(name.replace(/[\r\n]/g, "")),
        status: 200,
      })),
      { what: "a file that was uploaded", path: `${FILES}/${file}/content`, status: 200, check: saved },
      { what: "a file of a bucket", path: "/api/storage/gs/b/data/page.html", status: 200, check: saved },
    ],
    "ids": [
      {
        what: "a file beside a known one",
        path: `${FILES}/${file.slice(0, -1)}${file.endsWith("a") ? "b" : "a"}`,
        status: 404,
      },
      { what: "a file by a number", path: `${FILES}/1`, status: 404 },
      { what: "a part of an id", path: `${FILES}/${file.slice(0, 12)}`, status: 404 },
      { what: "an id in other letters", path: `${FILES}/${file.toUpperCase()}`, status: 404 },
      {
        what: "an event of another job",
        path: `${JOBS}/${job}/events?after=ftevent-${"A".repeat(24)}-1`,
        status: 404,
      },
      {
        what: "an upload that nobody began",
        path: `/api/uploads/upload-${"A".repeat(24)}`,
        status: 404,
        code: "upload_not_found",
      },
      {
        what: "another caller's upload key",
        path: "/api/uploads/..%2fuploads",
        status: 404,
      },
    ],
  };
}

export function isSent(body: Sent | object): body is Sent {
  return typeof body === "string" || body instanceof FormData || body instanceof ReadableStream ||
    body instanceof Uint8Array;
}
