import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { MemoryJobRecords } from "../../src/job_tracker/memory.ts";
import { SqliteJobRecords } from "../../src/job_tracker/sqlite.ts";
import { recordsContract, watchableRecordsContract } from "./records_contract.ts";

for (const contract of [recordsContract, watchableRecordsContract]) {
  contract("MemoryJobRecords", async (check) => {
    const store = new MemoryJobRecords();
    await check(() => store);
  });
  contract(
    "SqliteJobRecords",
    (check) =>
      withFolder((path) => check(() => new SqliteJobRecords(`${path}/runs/jobs.db`, { pollMs: 20 }))),
  );
}

async function withFolder(check: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir();
  try {
    await check(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

Deno.test("SqliteJobRecords rejects while another holds the file, and writes once it is free", async () => {
  await withFolder(async (path) => {
    const store = new SqliteJobRecords(`${path}/jobs.db`);
    await store.write("a", { at: 1, status: "running" });
    const other = new DatabaseSync(`${path}/jobs.db`);
    other.exec("BEGIN IMMEDIATE");
    await assert.rejects(store.write("a", { at: 2, progress: 0.5 }), { message: /locked|busy/ });
    other.exec("COMMIT");
    await store.write("a", { at: 3, progress: 0.75 });
    assert.equal((await store.read("a"))?.progress, 0.75);
    other.close();
    await store.close();
  });
});
