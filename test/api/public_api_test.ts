import assert from "node:assert/strict";
import { apiListing, denoDoc, LISTING_FILE } from "./listing.ts";

/** Lines that only one of two texts has. */
function differences(before: string, after: string): string[] {
  const [old, now] = [before, after].map((text) => new Set(text.split("\n")));
  return [
    ...[...old!.difference(now!)].map((line) => `- ${line}`),
    ...[...now!.difference(old!)].map((line) => `+ ${line}`),
  ];
}

Deno.test("the public API is what public_api.txt says", async () => {
  const [kept, found] = [await Deno.readTextFile(LISTING_FILE), await apiListing()];
  assert.ok(
    kept === found,
    `The public API has changed:\n${differences(kept, found).join("\n")}\n\n` +
      "If that is wanted, run deno task api, and tell of it in CHANGELOG.md.",
  );
});

Deno.test("every public name and every member of it is documented, and names public types only", async () => {
  const { success, errors } = await denoDoc("--lint");
  assert.ok(success, errors);
});
