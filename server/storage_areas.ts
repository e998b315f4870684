/**
 * What the proxy offers: parts of buckets under names of their own. Requests name an area and what is below it, never a
 * bucket, an address or a path of the disk, so that there is nothing else that they could reach.
 *
 * @module
 */
import type { StorageManager, StoredFile } from "../src/storage_manager.ts";
import { ApiError } from "./errors.ts";
import type { Caller } from "./scopes.ts";

/** A bucket, or what is below a prefix of one. */
export interface StorageArea {
  /** How requests name it, such as `gs/my-bucket/models`. */
  readonly path: string;
  readonly storage: StorageManager;
  /** What the names of its files begin with in the bucket: empty, or with a slash at the end. */
  readonly prefix: string;
  readonly isWritable: boolean;
}

/** A file of an area, or a folder where the name is empty or ends with a slash. */
export interface StorageTarget {
  readonly area: StorageArea;
  /** As requests name it. */
  readonly path: string;
  /** In the bucket. */
  readonly name: string;
}

/** What a request wants to do. */
export type StorageAction = "read" | "write";

/** Bytes of the longest path: the longest name of a file that all stores take. */
const LONGEST_PATH = 1024;

/** The areas of a server. */
export class StorageAreas {
  /** The longest path first, so that an area within another one decides for itself. */
  readonly #areas: readonly StorageArea[];

  constructor(areas: readonly StorageArea[]) {
    this.#areas = areas.toSorted((a, b) => b.path.length - a.path.length);
  }

  /** Those that a caller may read or write. */
  visibleTo(caller: Caller): StorageArea[] {
    const isVisible = ({ path }: StorageArea) => {
      const limits = caller.limits.get("storage:read");
      return !limits || limits.some((limit) => isWithin(path, limit) || isWithin(limit, path));
    };
    return this.#areas.filter(isVisible).toReversed();
  }

  /**
   * What a path means to a caller.
   *
   * @throws {ApiError} 403 for what is not offered, not to this caller, or only to read.
   */
  target(path: string, action: StorageAction, caller: Caller): StorageTarget {
    const area = this.#areas.find((area) => isWithin(path, area.path));
    if (!area) {
      const message = "This server does not offer that place: GET /api/storage lists what it offers.";
      throw new ApiError(403, message, { code: "storage_not_allowed" });
    }
    const limits = caller.limits.get(`storage:${action}`);
    if (limits && !limits.some((limit) => isWithin(path, limit))) {
      throw new ApiError(403, `Your key may not ${action} that place.`, { code: "storage_not_allowed" });
    }
    if (action === "write" && !area.isWritable) {
      throw new ApiError(403, "This server offers that place to read only.", { code: "storage_read_only" });
    }
    return targetIn(area, path);
  }

  /** What a path meant to a caller who was let write there before; null where that is not offered any more. */
  writable(path: string): StorageTarget | null {
    const area = this.#areas.find((area) => isWithin(path, area.path));
    return area?.isWritable ? targetIn(area, path) : null;
  }
}

function targetIn(area: StorageArea, path: string): StorageTarget {
  return { area, path, name: area.prefix + path.slice(area.path.length + 1) };
}

/** How requests name a file of an area. */
export function pathOf(area: StorageArea, { name }: Pick<StoredFile, "name">): string {
  return `${area.path}/${name.slice(area.prefix.length)}`;
}

/** Whether a path is another one or below it, part by part: `data-secret` is not below `data`. */
export function isWithin(path: string, other: string): boolean {
  return path === other || path.startsWith(`${other}/`);
}

/**
 * The path of a request below `/api/storage/`, each part decoded once. A slash at the end stays.
 *
 * @param encoded As it stands in the request's address.
 * @throws {ApiError} 400 for parts that are empty, `.` or `..`, or hold slashes, backslashes or control characters.
 */
export function decodedPath(encoded: string): string {
  const parts = encoded.split("/").map(decoded);
  const ends = parts.at(-1) === "" ? parts.slice(0, -1) : parts;
  const path = parts.join("/");
  if (ends.length > 0 && ends.every(isPlain) && new TextEncoder().encode(path).length <= LONGEST_PATH) {
    return path;
  }
  const message =
    "The path must be parts joined by single slashes, such as gs/my-bucket/data/train.jsonl, none of " +
    `them "." or "..", without encoded slashes, backslashes and control characters, ${LONGEST_PATH} bytes at most.`;
  throw new ApiError(400, message, { code: "invalid_path" });
}

/** Whether a part of a path is a name and nothing else. */
function isPlain(part: string): boolean {
  // deno-lint-ignore no-control-regex -- they are what is refused
  return part !== "" && part !== "." && part !== ".." && !/[/\\\u0000-\u001f\u007f]/.test(part);
}

/** An empty text where it cannot be decoded, which is no name. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return "/";
  }
}
