/**
 * `/api/models`: the files of base models, so that a page reads what a model is, cuts its data into that model's tokens, and
 * trains on it.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import * as z from "zod/mini";
import { entityTag, rangeOf } from "../conditions.ts";
import type { ServerEnv } from "../env.ts";
import { ApiError, notFound } from "../errors.ts";
import { requires } from "../middleware/authentication.ts";
import type { ModelCatalog, ModelFile } from "../model_catalog.ts";
import { operation } from "../operations.ts";

/** What these routes need. */
export interface ModelFileRouteDeps {
  readonly models: ModelCatalog;
}

const listSchema = z.object({
  object: z.literal("list"),
  data: z.array(z.object({ path: z.string(), bytes: z.int() })),
});

/** Of a range, this many bytes are read at a time. */
const PIECE_BYTES = 256 << 10;

export function modelFileRoutes({ models }: ModelFileRouteDeps): Hono<ServerEnv> {
  const app = new Hono<ServerEnv>();

  /** @throws {ApiError} 404 */
  const filesOf = async (id: string): Promise<readonly ModelFile[]> => {
    const model = await models.find(id);
    if (!model) throw notFound("model", id);
    return await models.files(model);
  };

  app.get(
    "/:id/files",
    operation({
      id: "listModelFiles",
      tag: "Models",
      summary: "List the files of a base model",
      description: "Slashes in the model's name are sent as %2F. Of a fine-tuned model, those of its base.",
      scope: "models:read",
      isProblem: true,
      ok: { description: "Files by their names", schema: listSchema },
      refusals: [404],
    }),
    requires("models:read"),
    async (c) => {
      const files = await filesOf(c.req.param("id"));
      return c.json({
        object: "list" as const,
        data: files.map(({ name, size }) => ({ path: name, bytes: size })),
      });
    },
  );

  app.get(
    "/:id/files/:name",
    operation({
      id: "readModelFile",
      tag: "Models",
      summary: "Read a file of a base model",
      scope: "models:read",
      isProblem: true,
      ok: { description: "Its bytes", content: { "application/octet-stream": {} } },
      more: { 206: "The bytes of the range" },
      refusals: [404, 416],
      parameters: [{
        name: "Range",
        in: "header",
        description: "Bytes that are wanted, such as `bytes=0-1023`",
        schema: { type: "string" },
      }],
    }),
    requires("models:read"),
    async (c) => {
      const { id, name } = c.req.param();
      const file = (await filesOf(id)).find((one) => one.name === name); // a name is looked up, and no path
      if (!file) throw new ApiError(404, "The model has no such file.", { code: "file_not_found" });
      return await answer(c, file);
    },
  );

  return app;
}

async function answer(c: Context<ServerEnv>, file: ModelFile): Promise<Response> {
  const stored = { size: file.size, version: `${file.size}-${file.changedAt}` };
  const range = rangeOf(stored, { range: c.req.header("range"), ifRange: c.req.header("if-range") });
  const { offset, length } = range ?? { offset: 0, length: file.size };
  const headers: Record<string, string> = {
    "content-type": "application/octet-stream",
    "content-length": String(length),
    "accept-ranges": "bytes",
    "cache-control": "private, no-cache",
    etag: entityTag(stored),
    ...(range ? { "content-range": `bytes ${offset}-${offset + length - 1}/${file.size}` } : {}),
  };
  return new Response(await bytesOf(file.path, offset, length), { status: range ? 206 : 200, headers });
}

/** Bytes [offset, offset + length) of a file, read as they are taken. */
async function bytesOf(path: string, offset: number, length: number): Promise<ReadableStream<Uint8Array>> {
  const file = await Deno.open(path);
  await file.seek(offset, Deno.SeekMode.Start);
  let left = length;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const piece = new Uint8Array(Math.min(left, PIECE_BYTES));
      const read = left === 0 ? null : await file.read(piece).catch((error) => {
        file.close();
        throw error;
      });
      if (read === null) {
        file.close();
        return controller.close();
      }
      left -= read;
      controller.enqueue(piece.subarray(0, read));
    },
    cancel: () => file.close(),
  }, { highWaterMark: 0 });
}
