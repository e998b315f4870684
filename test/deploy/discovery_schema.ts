/**
 * Holds values against the schemas of a service of Google, as its discovery document gives them.
 *
 * @see https://developers.google.com/discovery/v1/type-format
 * @module
 */

/** A schema, as far as it is used. */
export interface DiscoverySchema {
  readonly $ref?: string;
  readonly type?: "object" | "array" | "string" | "boolean" | "integer" | "number" | "any";
  /** `int64` is a string in answers, and may be a number in requests. */
  readonly format?: string;
  readonly enum?: readonly string[];
  readonly items?: DiscoverySchema;
  readonly properties?: Readonly<Record<string, DiscoverySchema>>;
  /** Of keys that `properties` does not name; none may be there without it. */
  readonly additionalProperties?: DiscoverySchema;
}

/** Schemas by name. */
export type DiscoverySchemas = Readonly<Record<string, DiscoverySchema>>;

/** What is wrong with a value, each with its place; a key that the schema does not know is, too. */
export function problemsOf(
  value: unknown,
  schema: DiscoverySchema,
  schemas: DiscoverySchemas,
  at = "",
): string[] {
  if (schema.$ref !== undefined) {
    const named = schemas[schema.$ref];
    return named ? problemsOf(value, named, schemas, at) : [`${at}: no schema "${schema.$ref}"`];
  }
  const { type = "any", format, items, properties = {}, additionalProperties } = schema;
  const wrong = [`${at}: ${JSON.stringify(value)} is not ${[type, format].filter(Boolean).join(" ")}`];
  switch (type) {
    case "any":
      return [];
    case "object":
      if (!isRecord(value)) return wrong;
      return Object.entries(value).flatMap(([key, one]) => {
        const own = properties[key] ?? additionalProperties, place = `${at}.${key}`;
        return own ? problemsOf(one, own, schemas, place) : [`${place}: there is no such field`];
      });
    case "array":
      if (!Array.isArray(value)) return wrong;
      return value.flatMap((one, i) => problemsOf(one, items ?? {}, schemas, `${at}[${i}]`));
    case "integer":
      return Number.isInteger(value) ? [] : wrong;
    case "string":
      if (format === "int64" && Number.isInteger(value)) return [];
      if (typeof value !== "string") return wrong;
      return !schema.enum || schema.enum.includes(value) ? [] : [`${at}: "${value}" is none of its values`];
    case "number":
      return typeof value === "number" ? [] : wrong;
    case "boolean":
      return typeof value === "boolean" ? [] : wrong;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
