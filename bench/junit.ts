/** One test of deno's JUnit report. */
export interface JunitCase {
  /** The test's file, relative to where deno ran. */
  readonly file: string;
  readonly name: string;
  readonly skipped: boolean;
  /** What the test threw; null where it passed. */
  readonly failure: string | null;
}

const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
const TEST_FILE = /<testsuite name="([^"]*)"[^>]*>([^]*?)<\/testsuite>/g;
const TEST_CASE = /<testcase name="([^"]*)"[^>]*?(?:\/>|>([^]*?)<\/testcase>)/g;

function unescape(text: string): string {
  return text.replace(/&(\w+);/g, (entity, name) => ENTITIES[name] ?? entity);
}

/** The tests of a report, in its order. A test belongs to the file that ran, wherever its declaration stands. */
export function readJunit(xml: string): JunitCase[] {
  return [...xml.matchAll(TEST_FILE)].flatMap(([, file, tests]) =>
    [...tests!.matchAll(TEST_CASE)].map(([, name, body = ""]) => ({
      file: unescape(file!).replace(/^\.\//, ""),
      name: unescape(name!),
      skipped: body.includes("<skipped"),
      failure: body.includes("<failure") ? unescape(body.replace(/<[^>]*>/g, "")).trim() : null,
    }))
  );
}
