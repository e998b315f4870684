/**
 * `/api/storage`: files of the buckets that the operator offers. Bodies go through as they come.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import * as z from "zod/mini";
import type { StoredFile } from "../../src/storage_manager.ts";
import { entityTag, isKnown, isWanted, rangeOf, STRONG_TAG, writeCondition } from "../conditions.ts";
import type { ServerEnv } from "../env.ts";
import { ApiError, badRequest } from "../errors.ts";
import { attachment } from "../file_names.ts";
import { requires } from "../middleware/authentication.ts";
import { jsonBody, operation, query } from "../operations.ts";
import type { ProxyUploads } from "../proxy_uploads.ts";
import {
  decodedPath,
  pathOf,
  type StorageAction,
  type StorageAreas,
  type StorageTarget,
} from "../storage_areas.ts";
import { fromStore, storeRefusal } from "../store_failures.ts";
import { streamOf } from "../stream_of.ts";
import { storedFileSchema, storedFileToWire, uploadSchema, uploadToWire } from "../storage_wire.ts";

/** What these routes need. */
export interface StorageRouteDeps {
  readonly areas: StorageAreas;
  readonly uploads: ProxyUploads;
  readonly settings: { readonly maxFileBytes: number };
}

const areaListSchema = z.object({
  object: z.literal("list"),
  data: z.array(z.object({ object: z.literal("storage.area"), path: z.string(), writable: z.boolean() })),
});

const fileListSchema = z.object({
  object: z.literal("list"),
  data: z.array(storedFileSchema),
  next_page_token: z.nullable(z.string()),
});

const listQuery = z.object({
  limit: z._default(z.coerce.number().check(z.int(), z.gte(1), z.lte(1000)), 1000),
  page_token: z.optional(z.string().check(z.minLength(1), z.maxLength(4096))),
});

const beginBody = z.object({ bytes: z.int().check(z.gte(0)) });

const BYTES = { "application/octet-stream": { schema: { type: "string" as const, format: "binary" } } };

/** The path of a file, wherever it stands. */
const PATH = "/:path{.+}";

/** The folder of a place. */
const PLACE_PATH = "/:kind/:place/";

/** How the OpenAPI document writes the route of {@link PATH}, whose parameter holds slashes: it has no word for such. */
export const FILE_PATH = { mounted: "/api/storage/{path}", documented: "/api/storage/{kind}/{place}/{file}" };

/** One part of a path. */
const PART = "^(?!\\.{1,2}$)[^/\\\\\\u0000-\\u001f\\u007f]+$";

const PLACE_PARAMETERS = [
  parameter("kind", "Where the place is", { enum: ["gs", "s3", "az", "hf", "local"] }),
  parameter("place", "The bucket, owner or name of it", { type: "string", pattern: PART, maxLength: 222 }),
];

const FILE_PARAMETERS = [
  ...PLACE_PARAMETERS,
  parameter("file", "The name of the file in the place", { type: "string", pattern: PART, maxLength: 200 }),
];

const CONDITIONS = [
  header("If-Match", "The version that is to be replaced", STRONG_TAG.source),
  header("If-None-Match", "`*`: only if there is no such file", "^[*]$"),
];

export function storageRoutes({ areas, uploads, settings }: StorageRouteDeps): Hono<ServerEnv> {
  const app = new Hono<ServerEnv>();

  app.get(
    "/",
    operation({
      id: "listStorageAreas",
      tag: "Storage",
      summary: "List the parts of buckets that the server offers",
      scope: "storage:read",
      isProblem: true,
      ok: { description: "Those that the caller may read", schema: areaListSchema },
    }),
    requires("storage:read"),
    (c) => {
      const data = areas.visibleTo(c.var.caller!).map(({ path, isWritable }) => (
        { object: "storage.area" as const, path, writable: isWritable }
      ));
      return c.json({ object: "list" as const, data });
    },
  );

  app.get(
    PLACE_PATH,
    operation({
      id: "listStorage",
      tag: "Storage",
      summary: "List a folder",
      description:
        "A path that ends with a slash is a folder, here that of a whole place; deeper ones have more parts. All " +
        "files below it are listed, page by page, in the order of their names.",
      scope: "storage:read",
      isProblem: true,
      ok: { description: "A list of files", schema: fileListSchema },
      refusals: [400, 404, 502, 503],
      parameters: PLACE_PARAMETERS,
    }),
    requires("storage:read"),
    query(listQuery),
    (c) => answerRead(c, c.req.valid("query")),
  );

  app.get(
    PATH,
    operation({
      id: "readStorage",
      tag: "Storage",
      summary: "Read a file",
      description:
        "Names of files may hold more parts, joined by slashes that are not encoded: parameters of OpenAPI hold none. " +
        "Answers to Range, If-Range, If-Match and If-None-Match; HEAD tells size and version.",
      scope: "storage:read",
      isProblem: true,
      ok: { description: "The bytes of the file", content: BYTES },
      more: { 206: "The bytes of the range", 304: "The client has this version" },
      refusals: [400, 404, 409, 412, 416, 502, 503],
      parameters: [
        ...FILE_PARAMETERS,
        header("Range", "Bytes that are wanted, such as `bytes=0-1023`"),
        header("If-Range", "The version that the range is of"),
        header("If-Match", "Versions that are wanted"),
        header("If-None-Match", "Versions that the client has"),
      ],
    }),
    requires("storage:read"),
    query(listQuery),
    (c) => answerRead(c, c.req.valid("query")),
  );

  async function answerRead(c: Context<ServerEnv>, page: z.output<typeof listQuery>): Promise<Response> {
    const target = targetOf(c, "read");
    return target.path.endsWith("/") ? c.json(await list(target, page)) : await read(target, c.req.raw);
  }

  async function list(
    { area, name }: StorageTarget,
    { limit, page_token: pageToken }: z.output<typeof listQuery>,
  ): Promise<z.output<typeof fileListSchema>> {
    const request = { prefix: name, pageSize: limit, pageToken: pageToken ?? null };
    const { files, nextPageToken } = await fromStore(() => area.storage.listPage(request));
    // names that no path can say, such as the empty files by which consoles show folders, are left out
    const data = files.filter((file) => file.name.startsWith(name) && /[^/]$/.test(file.name))
      .map((file) => storedFileToWire(pathOf(area, file), file));
    return { object: "list", data, next_page_token: nextPageToken };
  }

  async function read({ area: { storage }, path, name }: StorageTarget, request: Request): Promise<Response> {
    const file = await fromStore(() => storage.stat(name));
    const asked = (field: string) => request.headers.get(field) ?? undefined;
    const headers = headersOf(path, file);
    if (!isWanted(file, asked("if-match"))) {
      throw new ApiError(412, "The file is another version by now.", { code: "precondition_failed" });
    }
    if (isKnown(file, asked("if-none-match"))) {
      headers.delete("content-length");
      return new Response(null, { status: 304, headers });
    }
    const isHead = request.method === "HEAD";
    const range = isHead ? null : rangeOf(file, { range: asked("range"), ifRange: asked("if-range") });
    const status = range ? 206 : 200, { offset, length } = range ?? { offset: 0, length: file.size };
    headers.set("content-length", String(length));
    if (range) headers.set("content-range", `bytes ${offset}-${offset + length - 1}/${file.size}`);
    if (isHead || length === 0) return new Response(null, { status, headers });
    const stop = new AbortController();
    const pieces = storage.stream(file, { offset, length }, stop.signal)[Symbol.asyncIterator]();
    const first = await pieces.next().catch((error) => {
      const refusal = storeRefusal(error);
      if (!(refusal instanceof ApiError) || refusal.status !== 412) throw refusal;
      throw new ApiError(409, "The file was changed while it was looked at. Ask again.", { code: "changed" });
    });
    return new Response(streamOf(first, pieces, () => stop.abort()), { status, headers });
  }

  // what is told of methods stands before what is told of tokens and bodies, as it does elsewhere
  app.use(PATH, async (c, next) => {
    if (!["GET", "HEAD"].includes(c.req.method) && new URL(c.req.url).pathname.endsWith("/")) {
      const details = { code: "invalid_path", headers: { allow: "GET, HEAD" } };
      throw new ApiError(405, "The path is one of a folder, which is only listed.", details);
    }
    await next();
  });

  app.put(
    PATH,
    operation({
      id: "writeStorage",
      tag: "Storage",
      summary: "Write a file in one request",
      description:
        "The file appears when all of it has come. For one that is to survive broken connections, begin an upload.",
      scope: "storage:write",
      isProblem: true,
      ok: { description: "The file", schema: storedFileSchema },
      refusals: [400, 404, 408, 411, 412, 413, 502, 503],
      requestBody: { required: true, content: BYTES },
      parameters: [...FILE_PARAMETERS, ...CONDITIONS],
    }),
    requires("storage:write"),
    async (c) => {
      const target = fileOf(c), { headers, body } = c.req.raw, condition = writeCondition(headers);
      const length = headers.get("content-length");
      if (length === null || !/^\d{1,15}$/.test(length)) {
        throw new ApiError(411, "The size must be told in Content-Length.", { code: "length_required" });
      }
      if (headers.has("content-range")) {
        throw badRequest(
          "Parts of a file are taken by uploads: begin one with POST.",
          "Content-Range",
          "no_upload",
        );
      }
      const file = await uploads.whole(target, condition, body, checkedSize(Number(length)));
      return answer(c, target, file);
    },
  );

  app.post(
    PATH,
    operation({
      id: "beginStorageUpload",
      tag: "Storage",
      summary: "Begin an upload that may be gone on with",
      description: "Answers with the upload, whose address is in Location: PUT the bytes there.",
      scope: "storage:write",
      isProblem: true,
      ok: { status: 201, description: "The upload", schema: uploadSchema },
      refusals: [400, 404, 412, 413, 502, 503],
      parameters: [...FILE_PARAMETERS, ...CONDITIONS],
    }),
    requires("storage:write"),
    jsonBody(beginBody),
    async (c) => {
      const target = fileOf(c), size = checkedSize(c.req.valid("json").bytes);
      const condition = writeCondition(c.req.raw.headers);
      const begun = await uploads.begin(target, c.var.caller!.tokenId, size, condition);
      return c.json(uploadToWire(begun), 201, { location: `/api/uploads/${begun.id}` });
    },
  );

  app.delete(
    PATH,
    operation({
      id: "deleteStorage",
      tag: "Storage",
      summary: "Remove a file",
      description: "Does nothing if there is no such file.",
      scope: "storage:write",
      isProblem: true,
      ok: { status: 204, description: "It is not there any more" },
      refusals: [400, 404, 412, 502, 503],
      parameters: [
        ...FILE_PARAMETERS,
        header("If-Match", "The version that is to be removed", STRONG_TAG.source),
      ],
    }),
    requires("storage:write"),
    async (c) => {
      const { area: { storage }, name } = fileOf(c), condition = writeCondition(c.req.raw.headers);
      if (condition && !("ifVersion" in condition)) {
        throw badRequest("A file that is not there cannot be removed.", "If-None-Match", "invalid_condition");
      }
      await fromStore(() => storage.remove(name, condition ?? undefined));
      return c.body(null, 204);
    },
  );

  function checkedSize(size: number): number {
    const { maxFileBytes } = settings;
    if (size <= maxFileBytes) return size;
    const message = `The file is too large: up to ${maxFileBytes} bytes are taken.`;
    throw new ApiError(413, message, { code: "file_too_large" });
  }

  /** What the request's address means. It is read as it was sent: an encoded slash is not one. */
  function targetOf(c: Context<ServerEnv>, action: StorageAction): StorageTarget {
    const { pathname } = new URL(c.req.url);
    const path = decodedPath(pathname.slice(pathname.indexOf(ROOT) + ROOT.length));
    return areas.target(path, action, c.var.caller!);
  }

  /** A file to write. @throws {ApiError} 400 for a whole place. */
  function fileOf(c: Context<ServerEnv>): StorageTarget {
    const target = targetOf(c, "write");
    if (target.path !== target.area.path) return target;
    throw new ApiError(400, "The path is one of a folder.", { code: "invalid_path" });
  }

  return app;
}

const ROOT = "/api/storage/";

function answer(c: Context<ServerEnv>, { path }: StorageTarget, file: StoredFile): Response {
  return c.json(storedFileToWire(path, file), 200, { etag: entityTag(file) });
}

/** What is said of a file: browsers are to save it, to ask each time whether it is the same, and to run nothing of it. */
function headersOf(path: string, file: StoredFile): Headers {
  const { size, checksum } = file;
  const headers = new Headers({
    "content-type": "application/octet-stream",
    "content-disposition": attachment(path.slice(path.lastIndexOf("/") + 1)),
    "content-length": String(size),
    "accept-ranges": "bytes",
    "cache-control": "private, no-cache",
    etag: entityTag(file),
  });
  if (checksum) headers.set("x-checksum", `${checksum.algorithm}=${checksum.hex}`);
  return headers;
}

function parameter(name: string, description: string, schema: { type?: "string"; [key: string]: unknown }) {
  return { name, in: "path" as const, required: true, description, schema };
}

function header(name: string, description: string, pattern?: string) {
  const schema = { type: "string" as const, ...(pattern === undefined ? {} : { pattern }) };
  return { name, in: "header" as const, description, schema };
}
