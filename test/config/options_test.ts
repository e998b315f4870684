import assert from "node:assert/strict";
import type * as z from "zod/mini";
import { configTypes, formatted } from "../../deploy/config_types.ts";
import type {
  FineTuneJobOptions,
  JobValues,
  LoraValues,
  QuantizationValues,
  TrainingValues,
} from "../../src/config.ts";
import type { groupSchemas } from "../../src/config/declarations.ts";
import type { flatSchema } from "../../src/config/fields.ts";

type Schemas = typeof groupSchemas;
/** Whether two types are one, optional and readonly included. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;

type CamelCase<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Name;
type WithoutPrefix<Name extends string, Prefix extends string> = Name extends `${Prefix}_${infer Rest}` ? Rest
  : Name;
type Frozen<T> = T extends (infer Item)[] ? readonly Item[]
  : T extends Record<string, infer Value> ? Readonly<Record<string, Value>>
  : T;
/** A group as TypeScript sees it: names in camelCase without the group's own prefix. */
type Values<Wire, Prefix extends string> = {
  readonly [Name in keyof Wire & string as CamelCase<WithoutPrefix<Name, Prefix>>]-?: Frozen<
    Exclude<Wire[Name], undefined>
  >;
};
type Plain<T> = { [Key in keyof T]: T[Key] };
type Given<T> = { readonly [Key in keyof T]-?: Frozen<Exclude<T[Key], undefined>> };
type RequiredKeys<T> = { [Key in keyof T]-?: undefined extends T[Key] ? never : Key }[keyof T];
type Declared = z.input<typeof flatSchema>;
type Told = Omit<FineTuneJobOptions, "quantization">;

// A line that does not type-check here says that a declaration has changed since `deno task options`.
const agreement: readonly true[] = [
  true satisfies Same<Plain<JobValues>, Values<z.output<Schemas["job"]>, "job">>,
  true satisfies Same<Plain<LoraValues>, Values<z.output<Schemas["lora"]>, "lora">>,
  true satisfies Same<Plain<QuantizationValues>, Values<z.output<Schemas["quantization"]>, "quantization">>,
  true satisfies Same<Plain<TrainingValues>, Values<z.output<Schemas["training"]>, "training">>,
  true satisfies Same<Given<Told>, Given<Declared>>,
  true satisfies Same<RequiredKeys<Told>, RequiredKeys<Declared>>,
];

Deno.test("options.ts and groups.ts tell of the options as they are declared, with their help", async () => {
  assert.ok(agreement.every(Boolean));
  for (const [path, text] of configTypes()) {
    const file = await Deno.readTextFile(new URL(`../../${path}`, import.meta.url));
    assert.equal(file, await formatted(text), `${path} is out of date: run deno task options`);
  }
});
