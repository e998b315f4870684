/**
 * Forms with one file, written to the disk as they come: memory does not grow with the file.
 *
 * @module
 */
import { pipeline } from "node:stream/promises";
import { Busboy, type BusboyFileStream, type BusboyInstance } from "@fastify/busboy";
import { gathered } from "../src/storage/gathered.ts";
import { ApiError, badRequest } from "./errors.ts";
import { piecesInTime } from "./request_body.ts";

/** What a form held. */
export interface UploadedForm {
  readonly fields: ReadonlyMap<string, string>;
  /** Null if no file was in the field. */
  readonly file: { readonly filename: string; readonly bytes: number } | null;
}

/** How much a form may hold, and how long it may pause. */
export interface FormLimits {
  readonly maxFileBytes: number;
  readonly idleMs: number;
  /** Whether more would be taken of a request with a Content-Length. */
  readonly wantsLength: boolean;
}

/** Bytes that are written to the disk at once: each write costs, however small it is. */
const WRITE_BYTES = 2 ** 20;

/** Fields that are no files, and bytes of each, at most. */
export const MOST_FIELDS = 32, LONGEST_FIELD = 4096;

const MOST_PARTS = 40;

/**
 * Receives a form whose field `file` holds a file.
 *
 * @param path Where the file is written; what is there after an error is the caller's to remove.
 * @throws {ApiError} 400 for a broken form, 408 for one that stops coming, 413 for a file that is too large, 415 for
 * another kind of body.
 */
export async function receiveForm(
  request: Request,
  path: string,
  { maxFileBytes, idleMs, wantsLength }: FormLimits,
): Promise<UploadedForm> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^multipart\/form-data\s*;/i.test(type)) {
    throw new ApiError(415, "The body must be multipart/form-data with the fields file and purpose.");
  }
  if (!request.body) throw badRequest("The form is empty: send the fields file and purpose.", "file");
  const parser = parserOf(type, maxFileBytes), fields = new Map<string, string>();
  const refuse = (error: ApiError) => void parser.destroy(error);
  let diskError: unknown;
  const giveUp = (error: Error) => {
    diskError = error;
    parser.destroy(error); // or it would wait for ever for somebody who takes the file's bytes
  };
  /** The file, once its part has begun. */
  const received: { filename: string; stream: BusboyFileStream; written: Promise<number> }[] = [];
  parser.on("field", (name: string | undefined, value, isNameCut, isValueCut) => {
    if (name === undefined) refuse(badRequest("A field of the form has no name."));
    else if (isNameCut || isValueCut) {
      refuse(badRequest(`The field ${shown(name)} is too long.`, shown(name)));
    } else if (fields.has(name)) refuse(badRequest(`The field ${shown(name)} is given twice.`, shown(name)));
    else fields.set(name, value);
  });
  parser.on("file", (name: string | undefined, stream, filename) => {
    if (name !== "file") {
      stream.resume();
      return refuse(badRequest(`The field ${shown(name ?? "")} must not be a file.`, shown(name ?? "")));
    }
    stream.on("limit", () => refuse(tooLarge(maxFileBytes, wantsLength)));
    const written = writeAll(stream, path, giveUp);
    written.catch(() => {}); // waited for below, unless the parser fails first
    received.push({ filename: filename ?? "", stream, written });
  });
  parser.on("filesLimit", () => refuse(badRequest("The form holds more than one file.", "file")));
  for (const limit of ["partsLimit", "fieldsLimit"] as const) {
    parser.on(limit, () => refuse(badRequest("The form holds too many parts.")));
  }
  try {
    await pipeline(piecesInTime(request.body, { idleMs }), parser);
  } catch (error) {
    for (const { stream, written } of received) {
      stream.destroy(); // the parser leaves a part that it gave up neither ended nor failed
      await written.catch(() => {});
    }
    throw error instanceof ApiError || error === diskError
      ? error
      : badRequest("The form is broken or was cut off.");
  }
  const [file] = received;
  return { fields, file: file ? { filename: file.filename, bytes: await file.written } : null };
}

function parserOf(type: string, maxFileBytes: number): BusboyInstance {
  try {
    return new Busboy({
      headers: { "content-type": type },
      fileHwm: WRITE_BYTES, // so much comes while as much is written
      limits: {
        fileSize: maxFileBytes,
        files: 1,
        fields: MOST_FIELDS,
        parts: MOST_PARTS,
        fieldSize: LONGEST_FIELD,
        fieldNameSize: 100,
        headerPairs: 20,
        headerSize: 8192,
      },
    });
  } catch {
    throw badRequest("The form's content type names no boundary.");
  }
}

/** @param giveUp Told of what the disk refuses. @returns How many bytes it wrote. */
async function writeAll(
  stream: BusboyFileStream,
  path: string,
  giveUp: (error: Error) => void,
): Promise<number> {
  let bytes = 0;
  const done = <T>(work: Promise<T>) =>
    work.catch((error) => {
      giveUp(error);
      throw error;
    });
  // a pipeline hears from the first moment on that the part is broken
  await pipeline(stream, async (pieces: AsyncIterable<Uint8Array>) => {
    using file = await done(Deno.open(path, { write: true, createNew: true, mode: 0o600 }));
    for await (const piece of gathered(pieces, WRITE_BYTES)) {
      for (let from = 0; from < piece.length;) from += await done(file.write(piece.subarray(from)));
      bytes += piece.length;
    }
  });
  return bytes;
}

/**
 * The refusal of a file that is too large.
 *
 * @param wantsLength Whether more would be taken of a request with a Content-Length.
 */
export function tooLarge(maxFileBytes: number, wantsLength = false): ApiError {
  const megabytes = Math.floor(maxFileBytes / 1e6), mend = wantsLength ? " without a Content-Length" : "";
  return new ApiError(413, `The file is too large: this server takes up to ${megabytes} MB${mend}.`, {
    param: "file",
    code: "file_too_large",
  });
}

function shown(name: string): string {
  return name.replace(/[^\w[\].-]/g, "?").slice(0, 40);
}
