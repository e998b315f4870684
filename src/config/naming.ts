/**
 * Wire names (`lora_alpha`, `base_model`) and TypeScript names (`lora.alpha`, `job.baseModel`).
 *
 * @module
 */

/** `load_in_4bit` -> `loadIn4bit`, at type level. */
export type CamelCase<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Name;

type WithoutPrefix<Name extends string, Prefix extends string> = Name extends `${Prefix}_${infer Rest}` ? Rest
  : Name;
type ReadonlyValue<T> = T extends (infer Item)[] ? readonly Item[] : T;

/** A group's TypeScript shape: names in camelCase without the group's own prefix, everything readonly. */
export type CamelGroup<Wire, Prefix extends string> = {
  readonly [Name in keyof Wire & string as CamelCase<WithoutPrefix<Name, Prefix>>]-?: ReadonlyValue<
    Exclude<Wire[Name], undefined>
  >;
};

/** `load_in_4bit` -> `loadIn4bit`; in group `lora`, `lora_alpha` -> `alpha`. */
export function camelName(wireName: string, group: string): string {
  const prefix = `${group}_`;
  const name = wireName.startsWith(prefix) ? wireName.slice(prefix.length) : wireName;
  return name.replace(/_([a-z0-9])/g, (_, first: string) => first.toUpperCase());
}

/** `lora_alpha` -> `lora-alpha`, a flag without its dashes. */
export function flagName(wireName: string): string {
  return wireName.replaceAll("_", "-");
}
