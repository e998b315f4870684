/**
 * The part of node:assert/strict that the folder contract uses, for browsers; `contract.json` puts it in its place.
 *
 * @module
 */

/** A class, fields that must match, or a judge. */
type Expected =
  | (new (...args: never[]) => Error)
  | Readonly<Record<string, string | RegExp>>
  | ((error: Error) => boolean);

function show(value: unknown): string {
  return typeof value === "string" || value instanceof Error ? String(value) : JSON.stringify(value);
}

function check(error: unknown, expected: Expected, what: string): void {
  if (!(error instanceof Error)) throw new Error(`${what} threw ${show(error)}, no error`);
  if (typeof expected === "object") {
    for (const [field, wanted] of Object.entries(expected)) {
      const found = String(error[field as keyof Error]);
      if (wanted instanceof RegExp ? !wanted.test(found) : found !== wanted) {
        throw new Error(`${what} threw an error whose ${field} is ${show(found)}, not ${wanted}`);
      }
    }
  } else if (expected.prototype instanceof Error || (expected as unknown) === Error) {
    if (!(error instanceof expected)) throw new Error(`${what} threw ${error}, not a ${expected.name}`);
  } else if ((expected as (error: Error) => boolean)(error) !== true) {
    throw new Error(`${what} threw ${error}, which was judged wrong`);
  }
}

export default {
  equal(found: unknown, wanted: unknown): void {
    if (!Object.is(found, wanted)) throw new Error(`found ${show(found)}, wanted ${show(wanted)}`);
  },

  deepEqual(found: unknown, wanted: unknown): void {
    this.equal(JSON.stringify(found), JSON.stringify(wanted));
  },

  ok(found: unknown): void {
    if (!found) throw new Error(`found ${show(found)}, wanted something true`);
  },

  match(found: string, wanted: RegExp): void {
    if (!wanted.test(found)) throw new Error(`found ${show(found)}, wanted ${wanted}`);
  },

  throws(act: () => unknown, expected: Expected): void {
    try {
      act();
    } catch (error) {
      return check(error, expected, "the call");
    }
    throw new Error("nothing was thrown");
  },

  async rejects(promise: Promise<unknown>, expected: Expected, what = "the promise"): Promise<void> {
    try {
      await promise;
    } catch (error) {
      return check(error, expected, what);
    }
    throw new Error(`${what} did not reject`);
  },
};
