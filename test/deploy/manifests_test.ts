/**
 * The manifests against what Kubernetes and Google publish of their fields.
 */
import assert from "node:assert/strict";
import { load } from "js-yaml";
import { manifestOf, readTemplate } from "../../server/launchers/job_manifest.ts";
import { pythonPrograms, withoutPython } from "../helpers/python_packages.ts";
import { type DiscoverySchemas, problemsOf } from "./discovery_schema.ts";

const DEPLOY = decodeURIComponent(new URL("../../deploy/", import.meta.url).pathname);
const KUBERNETES = "kubernetes/train-job.yaml";
const OTHERS = ["kubernetes/server-job.yaml", "kubernetes/server.yaml"];
const CLOUD_RUN = "cloud-run/train-job.yaml";
/** The oldest and the newest whose fields the package knows. */
const VERSIONS = ["1.33.0", "1.37.0"];

async function output(program: string, ...args: readonly string[]): Promise<{ code: number; text: string }> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args: [...args] }).output();
  return { code, text: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

const withoutKubernetes = withoutPython("kubernetes-validate");
Deno.test({
  name:
    `the manifests of Kubernetes, and what the server makes of them, have the fields of its schemas alone${
      withoutKubernetes ? ` (skipped: ${withoutKubernetes})` : ""
    }`,
  ignore: withoutKubernetes !== null,
  async fn() {
    const validate = `${pythonPrograms("kubernetes-validate")}/kubernetes-validate`;
    const check = (version: string, file: string) => output(validate, "--strict", "-k", version, file);
    for (const version of VERSIONS) {
      const { code, text } = await check(version, DEPLOY + KUBERNETES);
      assert.equal(code, 0, text);
    }
    for (const file of OTHERS) {
      const { code, text } = await check(VERSIONS.at(-1)!, DEPLOY + file);
      assert.equal(code, 0, text);
    }
    const request = await Deno.makeTempFile({ suffix: ".yaml" });
    try {
      const text = await Deno.readTextFile(DEPLOY + OTHERS[0]!);
      const order = {
        jobId: "ftjob-a",
        folder: "/data/jobs/a",
        slot: { name: "a", env: { DRI_PRIME: "1" } },
      };
      const job = { template: readTemplate(text, OTHERS[0]!), name: "lowrank-a", command: ["deno"], order };
      await Deno.writeTextFile(request, JSON.stringify(manifestOf(job)));
      const { code, text: said } = await check(VERSIONS.at(-1)!, request);
      assert.equal(code, 0, said);
    } finally {
      await Deno.remove(request);
    }
    const wrong = await Deno.makeTempFile({ suffix: ".yaml" });
    try {
      const text = await Deno.readTextFile(DEPLOY + KUBERNETES);
      await Deno.writeTextFile(wrong, text.replace("backoffLimit", "backofLimit"));
      const refused = await check(VERSIONS.at(-1)!, wrong);
      assert.notEqual(refused.code, 0);
      assert.match(refused.text, /backofLimit/);
    } finally {
      await Deno.remove(wrong);
    }
  },
});

const withoutGoogle = withoutPython("google-api-python-client");
Deno.test({
  name: `the Cloud Run job has the fields of its schema alone${
    withoutGoogle ? ` (skipped: ${withoutGoogle})` : ""
  }`,
  ignore: withoutGoogle !== null,
  async fn() {
    const where = "import googleapiclient, os; print(os.path.dirname(googleapiclient.__file__))";
    const { text } = await output(`${pythonPrograms("google-api-python-client")}/python`, "-c", where);
    const document = await Deno.readTextFile(`${text.trim()}/discovery_cache/documents/run.v1.json`);
    const { schemas }: { schemas: DiscoverySchemas } = JSON.parse(document);
    const job = load(await Deno.readTextFile(DEPLOY + CLOUD_RUN));
    assert.deepEqual(problemsOf(job, { $ref: "Job" }, schemas), []);
    (job as { spec: { template: { spec: { template: { spec: Record<string, unknown> } } } } })
      .spec.template.spec.template.spec.maxRetry = 3;
    assert.deepEqual(problemsOf(job, { $ref: "Job" }, schemas), [
      ".spec.template.spec.template.spec.maxRetry: there is no such field",
    ]);
  },
});

Deno.test("problemsOf() names each value that a schema does not take, with its place", () => {
  const schemas: DiscoverySchemas = {
    A: {
      type: "object",
      properties: {
        n: { type: "integer" },
        long: { type: "string", format: "int64" },
        kind: { type: "string", enum: ["X", "Y"] },
        list: { type: "array", items: { $ref: "B" } },
        labels: { type: "object", additionalProperties: { type: "string" } },
        is: { type: "boolean" },
      },
    },
    B: { type: "object", properties: { a: { $ref: "C" } } },
  };
  const check = (value: unknown) => problemsOf(value, { $ref: "A" }, schemas);
  const good = { n: 1, long: "3", kind: "X", list: [{}], labels: { any: "text" }, is: false };
  assert.deepEqual([check(good), check({ long: 3 })], [[], []]);
  assert.deepEqual(check({ n: 1.5, kind: "Z", list: [{ b: 1 }, { a: 1 }], labels: { any: 1 }, is: "no" }), [
    ".n: 1.5 is not integer",
    '.kind: "Z" is none of its values',
    ".list[0].b: there is no such field",
    '.list[1].a: no schema "C"',
    ".labels.any: 1 is not string",
    '.is: "no" is not boolean',
  ]);
  assert.deepEqual(check([]), [": [] is not object"]);
});
