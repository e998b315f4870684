/**
 * `/openapi.json`: the routes as an OpenAPI 3.1 document, made from what they say about themselves; `/docs`: the same as a
 * page.
 *
 * @module
 */
import { Hono } from "hono";
import { generateSpecs } from "hono-openapi";
import { VERSION } from "../../src/version.ts";
import style from "../docs_page.css" with { type: "text" };
import { docsPage, type ShownDocument } from "../docs_page.ts";
import type { ServerEnv } from "../env.ts";
import { DOCS_PATH } from "../middleware/response_headers.ts";
import { FILE_PATH } from "./storage.ts";

/** What the document depends on. */
export interface OpenApiDeps {
  readonly settings: { readonly anonymous: boolean };
}

/** An operation, as far as it is changed here. */
interface DocumentedOperation {
  parameters?: { readonly name: string }[];
  security?: object[];
}

/** The document of an app's routes. */
export async function openApiDocument(
  app: Hono<ServerEnv>,
  { settings: { anonymous } }: OpenApiDeps,
): Promise<Record<string, unknown>> {
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
  const paths = Object.entries(document.paths as Record<string, Record<string, DocumentedOperation>>).map(
    ([path, operations]) => {
      for (const operation of Object.values(operations)) {
        if (anonymous) operation.security = []; // nobody needs a token
      }
      if (path !== FILE_PATH.mounted) return [path, operations];
      for (const operation of Object.values(operations)) {
        operation.parameters = operation.parameters!.filter(({ name }) => !HIDDEN.has(name));
      }
      return [FILE_PATH.documented, operations];
    },
  );
  return { ...document, paths: Object.fromEntries(paths) };
}

/** Of the route of files: what stands for the whole path, and what lists of folders take. */
const HIDDEN: ReadonlySet<string> = new Set(["path", "limit", "page_token"]);

const DOCS_STYLE_PATH = `${DOCS_PATH}/style.css`;

export function openApiRoutes(app: Hono<ServerEnv>, deps: OpenApiDeps): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();
  let document: Promise<Record<string, unknown>> | null = null;
  const made = () => document ??= openApiDocument(app, deps);
  routes.get("/openapi.json", async (c) => c.json(await made()));
  routes.get(
    DOCS_PATH,
    async (c) => c.html(docsPage(await made() as unknown as ShownDocument, DOCS_STYLE_PATH)),
  );
  routes.get(DOCS_STYLE_PATH, (c) => c.body(style, 200, { "content-type": "text/css; charset=utf-8" }));
  return routes;
}
