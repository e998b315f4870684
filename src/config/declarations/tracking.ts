/**
 * Options that say where a job tells how it stands.
 *
 * @module
 */

import * as z from "zod/mini";
import { fieldMeta, path, wanted, wordOrPlugin } from "../field_types.ts";

/** Part of the job's options. */
export const trackingFields = {
  job_id: z._default(
    z.nullable(
      z.string().check(
        z.maxLength(128),
        z.regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, wanted("must be letters, digits, '.', '_' or '-'")),
      ),
    ),
    null,
  ).register(fieldMeta, {
    section: "Tracking",
    help: "Name under which the job's state and progress are recorded; without it nothing is",
    placeholder: "ID",
  }),
  tracker: z._default(wordOrPlugin(["auto", "none", "sqlite", "firestore"]), "auto").register(fieldMeta, {
    section: "Tracking",
    pluginPart: "trackers",
    help: "Where they are recorded; auto takes Firestore if its project is named, else SQLite",
  }),
  tracker_path: z._default(path(), "runs/jobs.db").register(fieldMeta, {
    section: "Tracking",
    help: "SQLite file of the records",
    placeholder: "PATH",
  }),
  firestore_project: z._default(z.nullable(path()), null).register(fieldMeta, {
    section: "Tracking",
    help: "Project of Google Cloud whose Firestore keeps the records",
    placeholder: "ID",
  }),
  firestore_collection: z._default(path(), "jobs").register(fieldMeta, {
    section: "Tracking",
    help: "Collection of the records, a document a job",
    placeholder: "NAME",
  }),
};
