import assert from "node:assert/strict";
import process from "node:process";
import { redacted, redactedData, secretIn } from "../src/redact.ts";

/** Runs with variables of the environment as given. */
function withVariables(variables: Readonly<Record<string, string>>, work: () => void): void {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, variables);
  try {
    work();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

Deno.test("redacted() takes secrets out of every form in which URIs and services carry them", () => {
  const cases: [string, string][] = [
    ["https://ann:pa:ss@w@host/x?a=1", "https://***@host/x?a=1"],
    ["see az://c/f?sv=1&sig=ab%2Fc%3D&se=2 now", "see az://c/f?sv=1&sig=***&se=2 now"],
    [
      "https://b/k?X-Amz-Credential=AK%2F1&X-Amz-Signature=0f",
      "https://b/k?X-Amz-Credential=***&X-Amz-Signature=***",
    ],
    ["https://b/o?upload_id=ABC&token=d,", "https://b/o?upload_id=***&token=***"],
    ["AccountName=a;AccountKey=Zm9v==;End=1", "AccountName=a;AccountKey=***;End=1"],
    ['{"authorization":"Bearer abcdefghijklmnop.q"}', '{"authorization":"Bearer ***"}'],
    ["token hf_abcdefghijklmnopqrst!", "token ***!"],
    ["key AKIAABCDEFGHIJKLMNOP", "key ***"],
    ["ya29.a0AfH6SMBxyz_123 ok", "*** ok"],
    ["-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nend", "***\nend"],
    ['{"k":"-----BEGIN PRIVATE KEY-----\\nMIIE","n":1}', '{"k":"***","n":1}'],
  ];
  for (const [text, clean] of cases) assert.equal(redacted(text), clean);
});

Deno.test("redacted() leaves paths, revisions and numbers as they are", () => {
  const texts = [
    "hf://datasets/owner/data@main/train.jsonl",
    "gs://bucket/models/tiny?generation=12",
    "step 3/10 loss 2.345 · 120 tokens/s, pad_token <|endoftext|>, user@host",
    "runs/ember/adapter: max_length=512",
  ];
  for (const text of texts) assert.equal(redacted(text), text);
});

Deno.test("redacted() knows the values of secret variables, whole and in parts, in every spelling", () => {
  withVariables({
    LOWRANK_TEST_API_KEY: "planted/secret+value=1",
    AZURE_STORAGE_CONNECTION_STRING:
      "DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=cGxhbnRlZGtleQ==;E=x",
    AZURE_STORAGE_SAS_TOKEN: "?sv=2024&sig=cGxhbnRlZHNpZw%3D%3D",
    OTEL_EXPORTER_OTLP_HEADERS: "authorization=Basic%20cGxhbnRlZGF1dGg=,x-tenant=some-tenant-name",
    HTTPS_PROXY: "http://ann:proxypassword1@proxy:3128",
    LOWRANK_TEST_TOKEN: "short",
  }, () => {
    assert.equal(redacted("a planted/secret+value=1 b"), "a *** b");
    assert.equal(redacted("a planted%2Fsecret%2Bvalue%3D1 b"), "a *** b");
    assert.equal(redacted("the key cGxhbnRlZGtleQ== of acct"), "the key *** of acct");
    assert.equal(redacted("the signature cGxhbnRlZHNpZw== too"), "the signature *** too");
    assert.equal(redacted("sent cGxhbnRlZGF1dGg= for some-tenant-name"), "sent *** for some-tenant-name");
    assert.equal(redacted("proxypassword1, short"), "***, short", "short values are words like any other");
    assert.deepEqual(redactedData({ a: ["x planted/secret+value=1"], n: 1, z: null }), {
      a: ["x ***"],
      n: 1,
      z: null,
    });
  });
});

Deno.test("secretIn() says what of a URI is a secret", () => {
  assert.equal(secretIn("https://ann:pass@host/data.jsonl"), "a user name or password before @");
  assert.equal(secretIn("az://c/train.jsonl?sv=1&SIG=abc"), "a secret (&SIG=)");
  assert.equal(secretIn("hf_abcdefghijklmnopqrst"), "a key or token");
  for (const uri of ["hf://o/m@rev/f", "data/*.jsonl", "gs://b/a b?.json", "C:\\data"]) {
    assert.equal(secretIn(uri), null);
  }
});
