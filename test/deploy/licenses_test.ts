import assert from "node:assert/strict";
import { isPermissive, lockedPackages, notices, reachable } from "../../deploy/licenses.ts";

Deno.test("isPermissive() reads SPDX expressions and trusts no name that it does not know", () => {
  for (const good of ["MIT", "(MIT OR GPL-3.0)", "Apache-2.0 AND BSD-3-Clause", "0BSD"]) {
    assert.ok(isPermissive(good), good);
  }
  for (const bad of ["GPL-3.0-only", "MIT AND AGPL-3.0", "none", "SEE LICENSE IN x", "UNLICENSED", ""]) {
    assert.ok(!isPermissive(bad), bad);
  }
});

Deno.test("reachable() follows dependencies through the lock file's keys", () => {
  const packages = lockedPackages({
    "@a/b@1.0.0": { dependencies: ["c@2.0.0"] },
    "c@1.0.0": {},
    "c@2.0.0_d@1.1.1": { dependencies: ["d"] },
    "d@1.1.1": { dependencies: ["@a/b"] },
    "e@1.0.0": {},
  });
  assert.deepEqual(
    reachable(packages, ["@a/b"]).map(({ name, version }) => `${name}@${version}`),
    ["@a/b@1.0.0", "c@2.0.0", "d@1.1.1"],
  );
});

Deno.test("notices() holds each package's name, version and text", () => {
  const text = notices([
    { name: "a", version: "1.0.0", dependencies: [], licence: "MIT", texts: ["Copyright A\n"] },
    { name: "b", version: "2.0.0", dependencies: [], licence: "ISC", texts: [] },
  ]);
  assert.match(
    text,
    /## a 1\.0\.0\n\nMIT\n\n```text\nCopyright A\n```\n\n## b 2\.0\.0\n\nISC\n\n```text\nLicence: ISC\n/,
  );
});
