/**
 * `/openapi.json`: the routes as an OpenAPI 3.1 document, made from what they say about themselves.
 *
 * @module
 */
import { Hono } from "hono";
import { generateSpecs } from "hono-openapi";
import { VERSION } from "../../src/version.ts";
import type { ServerEnv } from "../env.ts";

/** The document of an app's routes. */
export async function openApiDocument(app: Hono<ServerEnv>): Promise<Record<string, unknown>> {
  const document = await generateSpecs(app, {
    documentation: {
      openapi: "3.1.0",
      info: {
        title: "Lowrank",
        version: VERSION,
        description: "Fine-tuning of language models with LoRA, in the shapes of OpenAI's API.",
        license: { name: "MIT" },
      },
      components: {
        securitySchemes: {
          bearer: { type: "http", scheme: "bearer", description: "A token of `lowrank token create`" },
        },
      },
    },
  });
  return document as unknown as Record<string, unknown>;
}

export function openApiRoutes(app: Hono<ServerEnv>): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();
  let document: Promise<Record<string, unknown>> | null = null;
  routes.get("/openapi.json", async (c) => c.json(await (document ??= openApiDocument(app))));
  return routes;
}
