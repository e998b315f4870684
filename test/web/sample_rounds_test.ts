import assert from "node:assert/strict";
import { changeSummary, exactSummary, type Round } from "../../web/page/sample_rounds.ts";

const round = (step: number, answers: readonly string[], exactMatch: number | null = null): Round => {
  const samples = answers.map((answer) => ({ prompt: "p", expected: null, answer }));
  return { step, samples, exactMatch, rows: 60 };
};

Deno.test("exactSummary() compares the rounds that counted, whatever was asked between them", () => {
  assert.equal(exactSummary([]), "");
  assert.equal(exactSummary([round(0, ["a"])]), "");
  assert.equal(
    exactSummary([round(0, ["a"], 0.1), round(5, ["b"])]),
    "Exactly right of 60 held-out answers: 10.0 %.",
  );
  assert.equal(
    exactSummary([round(0, ["a"], 0), round(5, ["b"]), round(9, ["c"], 0.5)]),
    "Exactly right of 60 held-out answers: 0.0 % at step 0, 50.0 % at step 9.",
  );
});

Deno.test("changeSummary() counts the answers that are other ones now", () => {
  assert.equal(
    changeSummary(round(5, ["a", "b", "c"]), round(9, ["a", "x", "y"])),
    "2 of 3 answers changed since step 5.",
  );
});
