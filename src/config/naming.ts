/**
 * Wire names (`lora_alpha`, `base_model`) and TypeScript names (`lora.alpha`, `job.baseModel`).
 *
 * @module
 */

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
