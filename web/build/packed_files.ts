/**
 * Packed copies of a built page's files, for servers that hand on what the browser takes: `x.js.br` (Brotli) and `x.js.gz`
 * beside `x.js`, as nginx, Caddy and others know them. Deno only.
 *
 * Data, models and settings have none: they may be exchanged after the build.
 *
 * @module
 */
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

const PACKED = /\.(js|mjs|css|html|wasm)$/;
/** Larger ones are packed less tightly, or the build would take half a minute. */
const LARGE = 1 << 20;

const toBrotli = promisify(brotliCompress), toGzip = promisify(gzip);

/** Packs all files below a folder that gain by it. */
export async function packFiles(folder: string): Promise<void> {
  const packing: Promise<void>[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) packing.push(packFiles(`${folder}/${name}`));
    else if (PACKED.test(name)) packing.push(pack(`${folder}/${name}`));
  }
  await Promise.all(packing);
}

async function pack(path: string): Promise<void> {
  const bytes = await Deno.readFile(path), isLarge = bytes.length > LARGE;
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: isLarge ? 5 : 9,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  const copies = { br: toBrotli(bytes, { params }), gz: toGzip(bytes, { level: isLarge ? 6 : 9 }) };
  for (const [ending, packed] of Object.entries(copies)) {
    await Deno.writeFile(`${path}.${ending}`, await packed);
  }
}
