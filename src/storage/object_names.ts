/**
 * Names of files in buckets.
 *
 * @module
 */

/** A prefix as names of files begin with it: with a slash at the end unless it is empty. */
export function folderName(prefix: string): string {
  const plain = prefix.replace(/\/+$/, "");
  return plain === "" ? "" : `${plain}/`;
}

/** The name of a file without the folders that it is in. */
export function lastPart(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

/** @throws {RangeError} If a name is none of a file, or would leave a folder when it is downloaded. */
export function assertObjectName(uri: string, name: string): void {
  const parts = name.split("/");
  if (
    name.length <= 1024 &&
    parts.every((part) => part !== "" && part !== "." && part !== ".." && !/[\\\0\r\n]/.test(part))
  ) {
    return;
  }
  throw new RangeError(
    `Cannot use ${
      JSON.stringify(name)
    } as a name in "${uri}": it must be parts joined by single slashes, such as ` +
      "models/ember/config.json",
  );
}
