/**
 * How routes say what they take and give: for the OpenAPI document and for the checks of requests alike.
 *
 * @module
 */
import { describeRoute, type DescribeRouteOptions, resolver, validator } from "hono-openapi";
import type { Context, MiddlewareHandler } from "hono";
import * as z from "zod/mini";
import { describeIssue } from "../src/config/issues.ts";
import { badRequest } from "./errors.ts";
import type { Scope } from "./scopes.ts";

type Schema = z.ZodMiniType;
type Responses = NonNullable<DescribeRouteOptions["responses"]>;

/** What a refusal under `/v1` looks like. */
export const errorSchema = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.nullable(z.string()),
    code: z.nullable(z.string()),
  }),
});

/** What a refusal elsewhere looks like (RFC 9457). */
export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.optional(z.string()),
});

const REFUSALS: Readonly<Record<number, string>> = {
  400: "The request is wrong",
  401: "No key, or one that is unknown",
  403: "The key lacks the scope",
  404: "There is no such thing",
  408: "The body stopped coming",
  409: "It is in another state, or a request with the same key is under way",
  411: "The size is not told",
  412: "The condition does not hold",
  413: "The body is too large",
  415: "The body is of another type",
  416: "It does not have this range",
  422: "The Idempotency-Key was used for another request",
  429: "Too many requests",
  502: "The store behind the server refuses",
  503: "Not now",
};

/** One route, for the document. */
export interface Operation {
  readonly id: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  /** The scope that a token needs; null for routes that anybody may use. */
  readonly scope: Scope | null;
  /** What it answers where all goes well. */
  readonly ok: {
    readonly status?: number;
    readonly description: string;
    readonly schema?: Schema;
    /** Where the answer is no JSON. */
    readonly content?: Readonly<Record<string, object>>;
  };
  /** Other answers where all goes well, by status. */
  readonly more?: Readonly<Record<number, string>>;
  /** Whether refusals are problem+json and not in OpenAI's shape. Default false. */
  readonly isProblem?: boolean;
  /** Statuses of refusals beside 401, 403 and 429. */
  readonly refusals?: readonly (keyof typeof REFUSALS & number)[];
  /** Where hono-openapi cannot tell: bodies that are read by the route itself, and headers. */
  readonly requestBody?: DescribeRouteOptions["requestBody"];
  readonly parameters?: DescribeRouteOptions["parameters"];
}

/** Puts a route into the OpenAPI document. */
export function operation(
  {
    id,
    tag,
    summary,
    description,
    scope,
    ok,
    more = {},
    isProblem = false,
    refusals = [],
    requestBody,
    parameters,
  }: Operation,
): MiddlewareHandler {
  const content = ok.content ??
    (ok.schema ? { "application/json": { schema: resolver(ok.schema) } } : undefined);
  const refused = [...new Set([...(scope ? [401, 403] : []), 429, ...refusals])];
  const refusal = isProblem
    ? { "application/problem+json": { schema: resolver(problemSchema) } }
    : { "application/json": { schema: resolver(errorSchema) } };
  const responses: Responses = {
    [ok.status ?? 200]: { description: ok.description, ...(content ? { content } : {}) },
    ...Object.fromEntries(refused.map((status) => [status, {
      description: REFUSALS[status]!,
      content: refusal,
    }])),
    ...Object.fromEntries(Object.entries(more).map(([status, description]) => [status, { description }])),
  };
  return describeRoute({
    operationId: id,
    tags: [tag],
    summary,
    ...(description || scope
      ? { description: [description, scope && `Scope: \`${scope}\`.`].filter(Boolean).join(" ") }
      : {}),
    security: scope ? [{ bearer: [] }] : [],
    responses,
    ...(requestBody ? { requestBody } : {}),
    ...(parameters ? { parameters } : {}),
  });
}

/** Checks the query of a request. @throws {ApiError} 400 that names the first field that is wrong. */
export function query<S extends Schema>(schema: S) {
  return validator("query", schema, refuseInvalid);
}

/** A JSON Schema, as the OpenAPI document holds it. */
export type JsonSchema = Record<string, unknown>;

/**
 * Checks the JSON body of a request.
 *
 * @param documented Makes the schema for the document from that of the check, where routes refuse what the check lets pass.
 * @throws {ApiError} 400 that names the first field that is wrong.
 */
export function jsonBody<S extends Schema>(
  schema: S,
  documented: (checked: JsonSchema) => JsonSchema = (it) => it,
) {
  const override = ({ zodSchema, jsonSchema }: { zodSchema: unknown; jsonSchema: JsonSchema }) => {
    if (zodSchema === schema) Object.assign(jsonSchema, documented({ ...jsonSchema }));
  };
  return validator("json", schema, refuseInvalidBody, { options: { override } });
}

interface Issue {
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
  readonly message: string;
  /** Of an object that takes no others than it declares. */
  readonly keys?: readonly string[];
}

function refuseInvalidBody(result: { success: boolean; error?: unknown }, c: Context): void {
  if (!/^application\/([\w.+-]+\+)?json\b/i.test(c.req.header("content-type") ?? "")) {
    throw badRequest("The body must be JSON, with the content type application/json.");
  }
  refuseInvalid(result);
}

function refuseInvalid(result: { success: boolean; error?: unknown }): void {
  if (result.success) return;
  const [{ path = [], message, keys }] = result.error as [Issue, ...Issue[]];
  const names = path.map((part) => String(typeof part === "object" ? part.key : part));
  if (keys?.[0] !== undefined) {
    const name = [...names, keys[0]].join(".");
    throw badRequest(`Unknown parameter: '${name}'.`, name, "unknown_parameter");
  }
  const param = names.join(".");
  throw badRequest(
    `Invalid value${param ? ` for '${param}'` : ""}: ${message}`,
    param || null,
    "invalid_value",
  );
}

// zod/mini says "Invalid input" to everything until it is told how to word issues
z.config({ customError: describeIssue as NonNullable<Parameters<typeof z.config>[0]>["customError"] });

/** `limit` and `after` of a list. @param id Of its entries. */
export function pageQuery(defaultLimit: number, mostLimit: number, id: RegExp) {
  return {
    limit: z._default(z.coerce.number().check(z.int(), z.gte(1), z.lte(mostLimit)), defaultLimit),
    after: z.optional(z.string().check(z.regex(id, "must be an id of this list"))),
  };
}
