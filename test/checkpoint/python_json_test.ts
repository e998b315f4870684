import assert from "node:assert/strict";
import { PythonFloat, pythonFloat, pythonJson } from "../../src/checkpoint/python_json.ts";

Deno.test("pythonFloat() spells floats as Python's repr", () => {
  const cases: readonly [number, string][] = [
    [0, "0.0"],
    [-0, "-0.0"],
    [2, "2.0"],
    [0.05, "0.05"],
    [1e-4, "0.0001"],
    [1e-5, "1e-05"],
    [1.25e-7, "1.25e-07"],
    [-3e-100, "-3e-100"],
    [1e15, "1000000000000000.0"],
    [1e16, "1e+16"],
    [1.5e300, "1.5e+300"],
    [123456.789, "123456.789"],
  ];
  for (const [value, want] of cases) assert.equal(pythonFloat(value), want);
  assert.throws(() => pythonFloat(NaN), { name: "RangeError", message: /NaN as JSON/ });
});

Deno.test("pythonJson() sorts keys, indents by two and escapes what is not ASCII", () => {
  const value = {
    b: [],
    a: { y: [1, "é\u007f\n\u{1f600}"], x: {} },
    c: new PythonFloat(1),
    d: 0.5,
    e: null,
    f: true,
  };
  assert.equal(
    pythonJson(value),
    [
      "{",
      '  "a": {',
      '    "x": {},',
      '    "y": [',
      "      1,",
      '      "\\u00e9\\u007f\\n\\ud83d\\ude00"',
      "    ]",
      "  },",
      '  "b": [],',
      '  "c": 1.0,',
      '  "d": 0.5,',
      '  "e": null,',
      '  "f": true',
      "}",
    ].join("\n"),
  );
});
