/**
 * Base models: picked, kept on the device, or in the server's buckets.
 *
 * @module
 */
import type { ServerAccess } from "../lowrank_server.ts";
import type { ByteProgress, JobPlan } from "./job.ts";
import type { PlainError } from "./plain_error.ts";

/** A file that the user picked. */
export interface PickedFile {
  /** Below the folder that was picked. */
  readonly path: string;
  readonly file: File;
}

/** Files of one model. */
export interface PickedFiles {
  readonly name: string;
  readonly files: readonly PickedFile[];
}

/** What a base model is. */
export interface ModelFacts {
  readonly uri: string;
  /** Hugging Face's `model_type`. */
  readonly modelType: string;
  readonly parameters: number;
  /** Of its weights, as the files have them. */
  readonly bytes: number;
  /** Format that its linear maps are quantised in already; null for floats. */
  readonly packing: string | null;
  /** As the model's card states it; null where it states none. */
  readonly license: string | null;
  readonly layers: number;
  readonly hiddenSize: number;
  readonly vocabSize: number;
  /** Positions that the model was trained on. */
  readonly contextLength: number;
}

/** A model on the device, or what has come of one. */
export interface KeptModel {
  /** Path of the model. */
  readonly uri: string;
  /** All that is here. */
  readonly bytes: number;
  /** Where it was downloaded from; null for one that the user picked. */
  readonly source: { readonly path: string; readonly revision: string } | null;
  /** How far its download is; null for one that is whole. */
  readonly download: ByteProgress | null;
}

/** Places of buckets that the page's server offers. */
export interface BucketPlaces {
  readonly server: ServerAccess;
  /** Such as `gs/my-bucket/models`. */
  readonly places: readonly string[];
}

/** A model in a bucket. */
export interface BucketModel {
  /** As the server names it. */
  readonly path: string;
  readonly name: string;
  /** Another one whenever a file of it is another one. */
  readonly revision: string;
  readonly bytes: number;
}

/** What the places hold. */
export interface BucketCatalog {
  /** By name. */
  readonly models: readonly BucketModel[];
  /** Places that could not be listed. */
  readonly problems: readonly { readonly place: string; readonly problem: PlainError }[];
  /** Places with so many files that not all were looked at. */
  readonly cut: readonly string[];
}

/** Which model, and by which server. */
export interface BucketModelOrder {
  readonly server: ServerAccess;
  readonly path: string;
}

/** What a model in a bucket is. */
export interface BucketModelFacts {
  readonly facts: ModelFacts;
  /** Of all files that a copy holds. */
  readonly downloadBytes: number;
  /** What the job would be and take with it; null where there is none. */
  readonly plan: JobPlan | null;
  /** Why there is no plan. */
  readonly problem: PlainError | null;
}

/** How far a download is. */
export interface DownloadProgress extends ByteProgress {
  /** Of those bytes, what has come since the download was begun or gone on with. */
  readonly received: number;
  /** Why it waits to try again; null while bytes come. */
  readonly problem: PlainError | null;
}
