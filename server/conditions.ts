/**
 * What the headers of a request ask for: ranges, and that a file is, or is not, what the client knows (RFC 9110).
 *
 * @module
 */
import type { StoredFile, WriteCondition } from "../src/storage_manager.ts";
import { ApiError, badRequest } from "./errors.ts";

/** A file's version as clients compare it. */
export function entityTag({ version }: Pick<StoredFile, "version">): string {
  return `"${encodeURIComponent(version)}"`;
}

/** Whether `If-None-Match` names what is there, so that it need not be sent. */
export function isKnown(file: StoredFile, header: string | undefined): boolean {
  return header !== undefined && tagsOf(header).some((tag) => tag === "*" || tag === entityTag(file));
}

/** Whether `If-Match` of a read allows what is there. */
export function isWanted(file: StoredFile, header: string | undefined): boolean {
  return header === undefined || tagsOf(header).some((tag) => tag === "*" || tag === entityTag(file));
}

/** Bytes [offset, offset + length) that are asked for; null for all of them. */
export interface WantedRange {
  readonly offset: number;
  readonly length: number;
}

/**
 * The range that a request wants. Several ranges, other units and ranges of another version give the whole file, as the
 * RFC allows.
 *
 * @throws {ApiError} 416 if the file ends before it.
 */
export function rangeOf(
  file: Pick<StoredFile, "size" | "version">,
  { range, ifRange }: { readonly range: string | undefined; readonly ifRange: string | undefined },
): WantedRange | null {
  const [, first = "", last = ""] = /^bytes=\s*(\d{0,15})-(\d{0,15})\s*$/.exec(range ?? "") ?? [];
  if (first === "" && last === "") return null;
  if (ifRange !== undefined && ifRange !== entityTag(file)) return null;
  if (first !== "" && last !== "" && Number(last) < Number(first)) return null;
  const offset = first === "" ? Math.max(0, file.size - Number(last)) : Number(first);
  const end = first === "" || last === "" ? file.size : Math.min(file.size, Number(last) + 1);
  if (offset < end) return { offset, length: end - offset };
  const headers = { "content-range": `bytes */${file.size}` };
  throw new ApiError(416, `The file has ${file.size} bytes.`, { code: "range_not_satisfiable", headers });
}

/** A strong entity tag. */
export const STRONG_TAG = /^"[\x21\x23-\x7e]{1,400}"$/;

/**
 * What must hold of the file that is there for it to be written: `If-None-Match: *` or `If-Match` with one tag.
 *
 * @throws {ApiError} 400 for other conditions, 412 for those that cannot hold: a tag of no file here, or both.
 */
export function writeCondition(headers: Headers): WriteCondition | null {
  const ifMatch = headers.get("if-match")?.trim(), ifNoneMatch = headers.get("if-none-match")?.trim();
  const isTaken = (ifMatch === undefined || STRONG_TAG.test(ifMatch)) &&
    (ifNoneMatch === undefined || ifNoneMatch === "*");
  if (!isTaken) {
    throw badRequest(
      "A write takes 'If-None-Match: *', for a new file, or 'If-Match' with one entity tag, for a file that is known.",
      ifMatch === undefined ? "If-None-Match" : "If-Match",
      "invalid_condition",
    );
  }
  if (ifMatch === undefined) return ifNoneMatch === undefined ? null : { ifAbsent: true };
  const version = ifNoneMatch === undefined ? versionOf(ifMatch) : null;
  if (version !== null) return { ifVersion: version };
  throw new ApiError(412, "No file can be what the conditions say.", { code: "precondition_failed" });
}

/** Null for a tag that {@link entityTag} never makes. */
function versionOf(tag: string): string | null {
  try {
    return decodeURIComponent(tag.slice(1, -1));
  } catch {
    return null;
  }
}

/** Tags of a list, weak ones as if they were strong. */
function tagsOf(header: string): string[] {
  return header.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
}

/** Where bytes that are sent belong. */
export interface SentRange {
  readonly offset: number;
  /** The byte after the last one. */
  readonly end: number;
  /** Of the whole file. */
  readonly size: number;
}

/**
 * `Content-Range` of a request: `bytes 0-99/500`, or `bytes *` with `/500` for one that sends nothing. Null for anything else.
 */
export function contentRange(header: string | undefined): SentRange | null {
  const [, all, first, last, of, none] =
    /^bytes (?:((\d{1,15})-(\d{1,15}))\/(\d{1,15})|\*\/(\d{1,15}))$/.exec(header ?? "") ?? [];
  if (none !== undefined) return { offset: Number(none), end: Number(none), size: Number(none) };
  if (all === undefined) return null;
  const range = { offset: Number(first), end: Number(last) + 1, size: Number(of) };
  return range.offset < range.end && range.end <= range.size ? range : null;
}
