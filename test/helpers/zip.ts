/**
 * Reading zip archives whose files are stored, not compressed.
 *
 * @module
 */

/** Signatures of the records of an archive. */
const END = 0x06054b50, ENTRY = 0x02014b50, FILE = 0x04034b50;

/** The files of an archive by name, in its order. @throws {Error} If it is none, or a file is compressed. */
export function unzipped(archive: Uint8Array<ArrayBuffer>): Map<string, Uint8Array<ArrayBuffer>> {
  const view = new DataView(archive.buffer, archive.byteOffset, archive.length);
  const end = archive.length - 22;
  if (view.getUint32(end, true) !== END) throw new Error("no zip archive, or one with a comment");
  const files = new Map<string, Uint8Array<ArrayBuffer>>(), count = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  for (let i = 0; i < count; i++) {
    if (view.getUint32(at, true) !== ENTRY) throw new Error(`entry ${i} is damaged`);
    if (view.getUint16(at + 10, true) !== 0) throw new Error(`entry ${i} is compressed`);
    const [size, nameLength] = [view.getUint32(at + 20, true), view.getUint16(at + 28, true)];
    const more = view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    const name = new TextDecoder().decode(archive.subarray(at + 46, at + 46 + nameLength));
    const local = view.getUint32(at + 42, true);
    if (view.getUint32(local, true) !== FILE) throw new Error(`"${name}" is damaged`);
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    files.set(name, archive.slice(start, start + size));
    at += 46 + nameLength + more;
  }
  return files;
}
