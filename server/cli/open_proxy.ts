/**
 * Opens what the proxy stands on: buckets, and the store of job records. Only what is named is loaded.
 *
 * @module
 */
import type { WatchableJobRecords } from "../../src/job_tracker.ts";
import { SqliteJobRecords } from "../../src/job_tracker/sqlite.ts";
import { openStorage } from "../../src/storage/open.ts";
import type { StorageArea } from "../storage_areas.ts";
import type { StorageGrant } from "../storage_grants.ts";

/** Where records are in Firestore; no project for none. */
export interface FirestorePlace {
  readonly project: string | null;
  readonly collection: string | undefined;
}

/** The file of records in a data folder. */
const RECORDS_FILE = "records.db";

/** Nothing is asked of the buckets yet. */
export async function openAreas(grants: readonly StorageGrant[]): Promise<StorageArea[]> {
  return await Promise.all(grants.map(async ({ path, uri, isWritable }) => {
    const { storage, name } = await openStorage(uri);
    return { path, storage, prefix: name === "" ? "" : `${name}/`, isWritable };
  }));
}

/** Records in Firestore, or in a file of the data folder. */
export async function openRecords(
  { project, collection }: FirestorePlace,
  folder: string,
): Promise<WatchableJobRecords> {
  if (project === null) return new SqliteJobRecords(`${folder}/${RECORDS_FILE}`);
  const { FirestoreJobRecords } = await import("../../src/job_tracker/firestore.ts");
  return new FirestoreJobRecords({ projectId: project, collection });
}
