/**
 * `/api/uploads`: uploads that were begun under `/api/storage` and may be gone on with after a connection broke.
 *
 * @module
 */
import { Hono } from "hono";
import { contentRange, entityTag } from "../conditions.ts";
import type { ServerEnv } from "../env.ts";
import { ApiError, badRequest } from "../errors.ts";
import { requires } from "../middleware/authentication.ts";
import { operation } from "../operations.ts";
import type { ProxyUploads } from "../proxy_uploads.ts";
import { storedFileSchema, storedFileToWire, uploadSchema, uploadToWire } from "../storage_wire.ts";

/** What these routes need. */
export interface UploadRouteDeps {
  readonly uploads: ProxyUploads;
}

const CONTENT_RANGE = /^bytes ([0-9]{1,15}-[0-9]{1,15}|[*])\/[0-9]{1,15}$/;

export function uploadRoutes({ uploads }: UploadRouteDeps): Hono<ServerEnv> {
  const app = new Hono<ServerEnv>();

  app.put(
    "/:id",
    operation({
      id: "sendStorageUpload",
      tag: "Storage",
      summary: "Send bytes of an upload",
      description:
        "`Content-Range: bytes 0-99/500` says which. They follow those that the store has, and go to the end or are " +
        "`part_bytes` at least; what is less than a part is to be sent again. `bytes */500` asks what is missing, and finishes " +
        "an upload that only lacks that.",
      scope: "storage:write",
      isProblem: true,
      ok: { description: "The file: it is whole", schema: storedFileSchema },
      more: { 202: "The upload: bytes are missing" },
      refusals: [400, 404, 408, 409, 412, 416, 502, 503],
      requestBody: {
        content: { "application/octet-stream": { schema: { type: "string", format: "binary" } } },
      },
      parameters: [{
        name: "Content-Range",
        in: "header",
        required: true,
        description: "Which bytes of how many",
        schema: { type: "string", pattern: CONTENT_RANGE.source },
      }],
    }),
    requires("storage:write"),
    async (c) => {
      const { tokenId } = c.var.caller!, id = c.req.param("id"), upload = await uploads.get(id, tokenId);
      const sent = c.req.header("content-range") ?? "", range = contentRange(sent);
      const { size } = upload.upload;
      if (!CONTENT_RANGE.test(sent)) {
        const message = `'Content-Range' must be like bytes 0-${
          Math.max(0, size - 1)
        }/${size}, or bytes */${size}.`;
        throw badRequest(message, "Content-Range", "invalid_range");
      }
      if (range?.size !== size) {
        throw new ApiError(416, `The range is not one of ${size} bytes.`, { code: "wrong_range" });
      }
      const { offset, end } = range;
      const file = await uploads.append(id, tokenId, { body: c.req.raw.body, offset, end });
      if (!file) return c.json(uploadToWire(upload), 202, { "upload-offset": String(upload.upload.sent) });
      return c.json(storedFileToWire(upload.target.path, file), 200, { etag: entityTag(file) });
    },
  );

  app.get(
    "/:id",
    operation({
      id: "retrieveStorageUpload",
      tag: "Storage",
      summary: "Look how far an upload is",
      scope: "storage:write",
      isProblem: true,
      ok: { description: "The upload", schema: uploadSchema },
      refusals: [404],
    }),
    requires("storage:write"),
    async (c) => {
      const upload = await uploads.get(c.req.param("id"), c.var.caller!.tokenId);
      return c.json(uploadToWire(upload), 200, { "upload-offset": String(upload.upload.sent) });
    },
  );

  app.delete(
    "/:id",
    operation({
      id: "deleteStorageUpload",
      tag: "Storage",
      summary: "Give an upload up",
      scope: "storage:write",
      isProblem: true,
      ok: { status: 204, description: "It is forgotten" },
      refusals: [404],
    }),
    requires("storage:write"),
    async (c) => {
      await uploads.remove(c.req.param("id"), c.var.caller!.tokenId);
      return c.body(null, 204);
    },
  );

  return app;
}
