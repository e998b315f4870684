/**
 * The API as a page to read, made from the OpenAPI document: plain HTML and one style sheet, without scripts.
 *
 * @module
 */
import { html } from "hono/html";
import type { JsonSchema } from "./operations.ts";

type Html = ReturnType<typeof html>;

/** What of an OpenAPI document is shown. */
export interface ShownDocument {
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  /** Operations by path and method. */
  readonly paths: Readonly<Record<string, Readonly<Record<string, ShownOperation>>>>;
}

interface ShownOperation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description?: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly description?: string;
    readonly schema: JsonSchema;
  }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>> };
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
}

interface Route extends ShownOperation {
  readonly method: string;
  readonly path: string;
}

/** A field of a body or a parameter, for a row of a table. */
interface Field {
  readonly name: string;
  readonly where: string;
  readonly schema: JsonSchema;
  readonly description: string;
}

/** The page. @param style Address of its style sheet. */
export function docsPage({ info, paths }: ShownDocument, style: string): Html {
  const routes = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]): Route => ({ method, path, ...operation }))
  );
  const groups = [...Map.groupBy(routes, ({ tags: [tag] }) => tag!)];
  return html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>${info.title}: API</title>
        <link rel="stylesheet" href="${style}">
      </head>
      <body>
    <h1>${info.title} <small>${info.version}</small></h1>
    <p>${info.description} The same as <a href="/openapi.json">OpenAPI 3.1</a>, for programs.</p>
    <nav>${groups.map(([tag, routes]) =>
      html`
        <h4>${tag}</h4>
        <ul>${routes.map(linkTo)}</ul>
      `
    )}</nav>
    ${groups.map(([tag, routes]) => html`<h2>${tag}</h2>${routes.map(article)}`)}
      </body>
    </html>
  `;
}

function linkTo({ operationId, summary }: Route): Html {
  return html`<li><a href="#${operationId}">${summary}</a></li>`;
}

function article(route: Route): Html {
  const { operationId, method, path, summary, description = "", parameters = [], responses } = route;
  const fields: Field[] = parameters.map(({ name, in: place, required, schema, description = "" }) => (
    { name, where: required && place !== "path" ? `${place}, needed` : place, schema, description }
  ));
  const bodies = Object.entries(route.requestBody?.content ?? {});
  return html`<article id="${operationId}">
<h3><b>${method.toUpperCase()}</b> <code>${path}</code></h3>
<p>${summary}. ${words(description)}</p>
${fields.length === 0 ? "" : table("Parameters", fields)}
${bodies.map(([type, { schema }]) => bodyTable(type, schema))}
<p class="quiet">${
    Object.entries(responses).map(([status, { description }]) =>
      html`
        <code>${status}</code> ${description}.
      `
    )
  }</p>
</article>`;
}

function bodyTable(type: string, schema: JsonSchema): Html {
  const fields = fieldsOf(schema);
  return fields.length === 0 ? html`<p>Body: <code>${type}</code></p>` : table(`Body: ${type}`, fields);
}

/** Fields of a body, those of objects within it behind their name. */
function fieldsOf(schema: JsonSchema, before = ""): Field[] {
  const required = (schema.required ?? []) as readonly string[];
  const properties = Object.entries((schema.properties ?? {}) as Record<string, JsonSchema>);
  return properties.flatMap(([name, declared]) => {
    const inner = [declared, ...(declared.anyOf ?? []) as JsonSchema[]].find(({ properties }) => properties);
    const where = required.includes(name) ? "needed" : declared.deprecated ? "deprecated" : "";
    const field = {
      name: before + name,
      where,
      schema: declared,
      description: String(declared.description ?? ""),
    };
    return [field, ...(inner && !declared.deprecated ? fieldsOf(inner, `${before}${name}.`) : [])];
  });
}

function table(title: string, fields: readonly Field[]): Html {
  const rows = fields.map(({ name, where, schema, description }) =>
    html`
      <tr>
        <td><code>${name}</code></td>
        <td class="quiet">${where}</td>
        <td>${kindOf(schema)}</td>
        <td>${words(description)}</td>
      </tr>
    `
  );
  return html`
    <details ${fields.length > 12 ? "" : "open"}>
      <summary>${title}</summary>
      <table>${rows}</table>
    </details>
  `;
}

/** A schema in words, such as `integer, 1 to 100, default 20`. */
function kindOf(schema: JsonSchema): string {
  const { type, enum: values, const: only, anyOf, minimum, maximum, exclusiveMinimum, default: standard } =
    schema;
  const kind = only !== undefined
    ? JSON.stringify(only)
    : values
    ? (values as unknown[]).map((value) => JSON.stringify(value)).join(" | ")
    : anyOf
    ? [...new Set((anyOf as JsonSchema[]).map(kindOf))].filter(Boolean).join(" | ")
    : [type ?? ""].flat().join(" | ");
  const least = minimum ?? (exclusiveMinimum === undefined ? undefined : `above ${exclusiveMinimum}`);
  const hasMost = maximum !== undefined && Number(maximum) < Number.MAX_SAFE_INTEGER;
  const bounds = least !== undefined && hasMost
    ? `${least} to ${maximum}`
    : hasMost
    ? `up to ${maximum}`
    : least !== undefined && Number(least) !== Number.MIN_SAFE_INTEGER
    ? `from ${least}`
    : "";
  const fallback = standard === undefined || standard === null ? "" : `default ${JSON.stringify(standard)}`;
  return [kind, bounds, fallback].filter(Boolean).join(", ");
}

/** A text whose parts between backticks are code. */
function words(text: string): (string | Html)[] {
  return text.split("`").map((part, i) => i % 2 === 1 ? html`<code>${part}</code>` : part);
}
