/**
 * What a `deno test` in a process of its own came to.
 *
 * @module
 */

/** One test of deno's JUnit report. */
export interface JunitCase {
  readonly name: string;
  readonly skipped: boolean;
  /** What the test threw; null where it passed. */
  readonly failure: string | null;
}

const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
const TEST_CASE = /<testcase name="([^"]*)"[^>]*?(?:\/>|>([^]*?)<\/testcase>)/g;

function unescape(text: string): string {
  return text.replace(/&(\w+);/g, (entity, name) => ENTITIES[name] ?? entity);
}

/**
 * The tests of a report, in its order. Their files are not told: the report names where a test is declared, which may be
 * a helper.
 */
export function readJunit(xml: string): JunitCase[] {
  return [...xml.matchAll(TEST_CASE)].map(([, name, body = ""]) => ({
    name: unescape(name!),
    skipped: body.includes("<skipped"),
    failure: body.includes("<failure") ? unescape(body.replace(/<[^>]*>/g, "")).trim() : null,
  }));
}
