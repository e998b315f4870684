/**
 * Options that name buckets: where a job finds what has no place on this machine, and where its results go.
 *
 * @module
 */

import * as z from "zod/mini";
import { fieldMeta, path, wanted } from "../field_types.ts";

/** Names that buckets of Google Cloud Storage may have. */
const GCS_BUCKET = /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/;
/** A place in a bucket that can be written to, or an absolute path. */
const OUTPUT_URI = /^(gs|s3|az):\/\/[a-z0-9][a-z0-9._-]+(\/.*)?$|^file:\/\/\/./;

/** Part of the job's options. */
export const storageFields = {
  gcs_bucket: z._default(
    z.nullable(
      z.string().check(
        z.regex(GCS_BUCKET, wanted("must be the name of a bucket of Google Cloud Storage, without gs://")),
      ),
    ),
    null,
  ).register(fieldMeta, {
    section: "Storage",
    help:
      "Bucket of Google Cloud Storage: base model and data that are not on this machine are taken from it, " +
      "results go to models/<output-model-name> in it",
    placeholder: "NAME",
  }),
  gcs_prefix: z._default(z.nullable(path()), null).register(fieldMeta, {
    section: "Storage",
    help: "Folder in that bucket below which all of this lies",
    placeholder: "PATH",
  }),
  output_uri: z._default(
    z.nullable(
      z.string().check(
        z.regex(
          OUTPUT_URI,
          wanted("must be gs://BUCKET/PATH, s3://BUCKET/PATH, az://CONTAINER/PATH or file:///PATH"),
        ),
      ),
    ),
    null,
  ).register(fieldMeta, {
    section: "Storage",
    help: "Folder in a bucket that the results are copied to at the end: gs://, s3://, az://",
    aliases: ["upload_to"],
    placeholder: "URI",
    defaultText: "none, or models/<output-model-name> in gcs-bucket",
  }),
  upload_checkpoints: z._default(z.boolean(), true).register(fieldMeta, {
    section: "Storage",
    help:
      "Copy checkpoints there while training goes on, so that --resume auto goes on from them on any machine",
  }),
};
