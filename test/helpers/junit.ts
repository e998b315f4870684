/**
 * What a `deno test` in a process of its own came to.
 *
 * @module
 */

/** A test that ran; `failure` is null where it passed. */
export interface TestResult {
  readonly name: string;
  readonly failure: string | null;
}

/** Test cases of a JUnit report, skipped ones left out. */
export function readJunit(xml: string): TestResult[] {
  const text = (value: string) =>
    value.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&amp;", "&");
  return [...xml.matchAll(/<testcase name="([^"]*)"[^>]*?(?:\/>|>([^]*?)<\/testcase>)/g)]
    .filter(([, , body = ""]) => !body.includes("<skipped"))
    .map(([, name, body = ""]) => ({
      name: text(name!),
      failure: body.includes("<failure") ? text(body) : null,
    }));
}
