/**
 * `/v1/models`: what jobs and answers can start from, and what jobs made.
 *
 * @module
 */
import { Hono } from "hono";
import * as z from "zod/mini";
import type { ServerEnv } from "../env.ts";
import { notFound } from "../errors.ts";
import type { FileStore } from "../file_store.ts";
import { ORGANIZATION } from "../job_wire.ts";
import { requires } from "../middleware/authentication.ts";
import type { CatalogModel, ModelCatalog } from "../model_catalog.ts";
import { operation } from "../operations.ts";

/** What these routes need. */
export interface ModelRouteDeps {
  readonly models: ModelCatalog;
  readonly files: FileStore;
}

const modelSchema = z.object({
  id: z.string(),
  object: z.literal("model"),
  created: z.int(),
  owned_by: z.string(),
});
const deletedSchema = z.object({ id: z.string(), object: z.literal("model"), deleted: z.boolean() });
const modelListSchema = z.object({ object: z.literal("list"), data: z.array(modelSchema) });

function modelToWire({ id, createdAt, ownedBy }: CatalogModel): z.output<typeof modelSchema> {
  const owned_by = ownedBy === "base" ? "base" : ORGANIZATION;
  return { id, object: "model", created: Math.floor(createdAt / 1000), owned_by };
}

export function modelRoutes({ models, files }: ModelRouteDeps): Hono<ServerEnv> {
  const app = new Hono<ServerEnv>();
  app.get(
    "/",
    operation({
      id: "listModels",
      tag: "Models",
      summary: "List models",
      scope: "models:read",
      ok: { description: "Base models, then fine-tuned ones", schema: modelListSchema },
    }),
    requires("models:read"),
    async (c) => c.json({ object: "list" as const, data: (await models.list()).map(modelToWire) }),
  );
  app.get(
    "/:id{.+}", // names of models hold slashes
    operation({
      id: "retrieveModel",
      tag: "Models",
      summary: "Look at a model",
      scope: "models:read",
      ok: { description: "The model", schema: modelSchema },
      refusals: [404],
    }),
    requires("models:read"),
    async (c) => {
      const id = c.req.param("id"), model = await models.find(id);
      if (!model) throw notFound("model", id);
      return c.json(modelToWire(model));
    },
  );
  app.delete(
    "/:id{.+}",
    operation({
      id: "deleteModel",
      tag: "Models",
      summary: "Delete a fine-tuned model",
      scope: "models:write",
      ok: { description: "It is gone", schema: deletedSchema },
      refusals: [404, 409],
    }),
    requires("models:write"),
    async (c) => {
      const id = c.req.param("id"), model = await models.find(id);
      if (!model) throw notFound("model", id);
      await models.remove(model, files);
      return c.json({ id, object: "model" as const, deleted: true });
    },
  );
  return app;
}
