/**
 * `/v1/files`: data that jobs train on, and what they leave.
 *
 * @module
 */
import { Hono } from "hono";
import * as z from "zod/mini";
import { type CheckData, refusalOf } from "../data_check.ts";
import type { ServerEnv } from "../env.ts";
import { ApiError, badRequest, notFound } from "../errors.ts";
import { attachment, displayName, keptEnding } from "../file_names.ts";
import {
  type FileStore,
  type IncomingFile,
  PURPOSES,
  type StoredFile,
  UPLOAD_PURPOSES,
} from "../file_store.ts";
import { requires } from "../middleware/authentication.ts";
import { ID_PATTERNS } from "../ids.ts";
import { LONGEST_FIELD, MOST_FIELDS, receiveForm, tooLarge, type UploadedForm } from "../multipart.ts";
import { operation, pageQuery, query } from "../operations.ts";
import { pageToWire } from "../pages.ts";
import { contentOf } from "../file_content.ts";

/** What these routes need. */
export interface FileRouteDeps {
  readonly files: FileStore;
  readonly checkData: CheckData;
  readonly settings: {
    readonly maxFileBytes: number;
    readonly maxUntoldBytes: number;
    readonly bodyIdleMs: number;
  };
}

/** A file in OpenAI's shape. */
export const fileSchema = z.object({
  id: z.string(),
  object: z.literal("file"),
  bytes: z.int(),
  created_at: z.int(),
  expires_at: z.optional(z.int()),
  filename: z.string(),
  purpose: z.enum(PURPOSES),
  status: z.enum(["uploaded", "processed", "error"]),
  status_details: z.nullable(z.string()),
});

const fileListSchema = z.object({
  object: z.literal("list"),
  data: z.array(fileSchema),
  has_more: z.boolean(),
  first_id: z.nullable(z.string()),
  last_id: z.nullable(z.string()),
});

const deletedSchema = z.object({ id: z.string(), object: z.literal("file"), deleted: z.boolean() });

const listQuery = z.object({
  ...pageQuery(10_000, 10_000, ID_PATTERNS.file),
  order: z._default(z.enum(["asc", "desc"]), "desc"),
  purpose: z.optional(z.string().check(z.maxLength(100))),
});

const ON_BAD_LINE = ["fail", "skip"] as const;

const UPLOAD_BODY = {
  required: true,
  content: {
    "multipart/form-data": {
      schema: {
        type: "object" as const,
        required: ["file", "purpose"],
        properties: {
          file: {
            type: "string" as const,
            format: "binary",
            description: "JSON Lines, JSON or CSV to fine-tune on",
          },
          purpose: { type: "string" as const, enum: [...UPLOAD_PURPOSES] },
          on_bad_line: {
            type: "string" as const,
            enum: [...ON_BAD_LINE],
            default: "fail",
            description:
              "Whether a file with bad lines is kept for jobs with the hyperparameter on_bad_line=skip",
          },
          "expires_after[anchor]": { type: "string" as const, enum: ["created_at"] },
          "expires_after[seconds]": { type: "integer" as const, minimum: 3600, maximum: 2_592_000 },
        },
        maxProperties: MOST_FIELDS + 1, // the file is none of them
        additionalProperties: { type: "string" as const, maxLength: LONGEST_FIELD },
        dependentRequired: {
          "expires_after[anchor]": ["expires_after[seconds]"],
          "expires_after[seconds]": ["expires_after[anchor]"],
        },
      },
    },
  },
};

/** A file as clients see it. */
export function fileToWire(file: StoredFile): z.output<typeof fileSchema> {
  const { id, bytes, createdAt, expiresAt, filename, purpose } = file;
  return {
    id,
    object: "file",
    bytes,
    created_at: Math.floor(createdAt / 1000),
    ...(expiresAt === null ? {} : { expires_at: Math.floor(expiresAt / 1000) }),
    filename,
    purpose,
    status: "processed", // a file that cannot be used is refused and not kept
    status_details: null,
  };
}

export function fileRoutes({ files, checkData, settings }: FileRouteDeps): Hono<ServerEnv> {
  const app = new Hono<ServerEnv>();

  app.post(
    "/",
    operation({
      id: "createFile",
      tag: "Files",
      summary: "Upload a file",
      description:
        "A file to fine-tune on is read whole: lines that cannot be used are named, and it is not kept then, unless " +
        "`on_bad_line` is `skip` and other lines can be used.",
      scope: "files:write",
      ok: { description: "The file", schema: fileSchema },
      refusals: [400, 408, 413, 415],
      requestBody: UPLOAD_BODY,
    }),
    requires("files:write"),
    async (c) => {
      const { bodyIdleMs: idleMs } = settings, length = c.req.header("content-length");
      const wantsLength = length === undefined && settings.maxUntoldBytes < settings.maxFileBytes;
      const maxFileBytes = wantsLength ? settings.maxUntoldBytes : settings.maxFileBytes;
      if (Number(length ?? 0) > maxFileBytes + FORM_OVERHEAD) throw tooLarge(maxFileBytes);
      const incoming = files.incoming();
      try {
        const form = await receiveForm(c.req.raw, incoming.path, { maxFileBytes, idleMs, wantsLength });
        return c.json(fileToWire(await keep(incoming, form)));
      } finally {
        await files.discard(incoming);
      }
    },
  );

  async function keep(incoming: IncomingFile, form: UploadedForm): Promise<StoredFile> {
    const purpose = UPLOAD_PURPOSES.find((known) => known === form.fields.get("purpose"));
    if (!purpose) {
      throw badRequest(`'purpose' must be one of ${UPLOAD_PURPOSES.join(", ")}.`, "purpose", "invalid_value");
    }
    if (!form.file) throw badRequest("'file' is missing: send a file in the field 'file'.", "file");
    const onBadLine = ON_BAD_LINE.find((known) => known === (form.fields.get("on_bad_line") ?? "fail"));
    if (!onBadLine) throw badRequest("'on_bad_line' must be fail or skip.", "on_bad_line", "invalid_value");
    const expiresInSeconds = expiryOf(form.fields);
    const filename = displayName(form.file.filename), ending = keptEnding(filename);
    if (form.file.bytes === 0) throw badRequest("The file is empty.", "file", "empty_file");
    if (purpose === "fine-tune") {
      const refusal = ending === ".parquet"
        ? "Parquet is not taken here: its small files may unpack to any size; convert it to JSON Lines"
        : refusalOf(await checkData(incoming.path), onBadLine);
      if (refusal) throw badRequest(`Invalid file format. ${refusal}`, "file", "invalid_file_format");
    }
    return await files.keep(incoming, { filename, purpose, ending, expiresInSeconds });
  }

  app.get(
    "/",
    operation({
      id: "listFiles",
      tag: "Files",
      summary: "List files",
      scope: "files:read",
      ok: { description: "Files, the latest first", schema: fileListSchema },
      refusals: [400, 404],
    }),
    requires("files:read"),
    query(listQuery),
    (c) => {
      const { limit, order, after = null, purpose = null } = c.req.valid("query");
      const page = files.list({ limit, order, after, purpose });
      if (!page) throw notFound("file", after!, "after");
      return c.json(pageToWire(page.entries.map(fileToWire), page.hasMore, true));
    },
  );

  const fileOf = (id: string): StoredFile => {
    const file = files.get(id);
    if (!file) throw notFound("file", id);
    return file;
  };

  app.get(
    "/:id",
    operation({
      id: "retrieveFile",
      tag: "Files",
      summary: "Look at a file",
      scope: "files:read",
      ok: { description: "The file", schema: fileSchema },
      refusals: [404],
    }),
    requires("files:read"),
    (c) => c.json(fileToWire(fileOf(c.req.param("id")))),
  );

  app.delete(
    "/:id",
    operation({
      id: "deleteFile",
      tag: "Files",
      summary: "Delete a file",
      scope: "files:write",
      ok: { description: "It is gone", schema: deletedSchema },
      refusals: [404],
    }),
    requires("files:write"),
    async (c) => {
      const { id } = fileOf(c.req.param("id"));
      if (!await files.remove(id)) throw notFound("file", id);
      return c.json({ id, object: "file" as const, deleted: true });
    },
  );

  app.get(
    "/:id/content",
    operation({
      id: "downloadFile",
      tag: "Files",
      summary: "Read a file",
      scope: "files:read",
      ok: {
        description: "Its bytes",
        content: { "application/octet-stream": { schema: { type: "string", format: "binary" } } },
      },
      refusals: [404],
    }),
    requires("files:read"),
    async (c) => {
      const file = fileOf(c.req.param("id"));
      const content = await contentOf(files.pathOf(file.place), file.place.kind);
      if (!content) throw notFound("file", file.id);
      return new Response(content.body, {
        headers: {
          "content-type": "application/octet-stream", // whatever it is, browsers are to save it and not to run it
          "content-disposition": attachment(file.filename),
          ...(content.bytes === null ? {} : { "content-length": String(content.bytes) }),
        },
      });
    },
  );

  return app;
}

/** Bytes of a form beside its file, at most. */
const FORM_OVERHEAD = 1 << 18;

/** Seconds after which a file is removed; null for never. @throws {ApiError} 400 */
function expiryOf(fields: ReadonlyMap<string, string>): number | null {
  const anchor = fields.get("expires_after[anchor]"), seconds = fields.get("expires_after[seconds]");
  if (anchor === undefined && seconds === undefined) return null;
  if (anchor !== "created_at") {
    throw badRequest("'expires_after[anchor]' must be created_at.", "expires_after[anchor]", "invalid_value");
  }
  const value = /^\d{1,9}$/.test(seconds ?? "") ? Number(seconds) : NaN;
  if (value >= 3600 && value <= 2_592_000) return value;
  const message = "'expires_after[seconds]' must be a whole number from 3600 to 2592000.";
  throw new ApiError(400, message, { param: "expires_after[seconds]", code: "invalid_value" });
}
