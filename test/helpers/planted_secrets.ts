/**
 * Secrets that are recognised wherever they turn up.
 *
 * @module
 */

/** In every one, so that a part of it is found too. */
const MARK = "PLANTED7secret";

/** Variables with secrets in them, as the services' own tools name them. */
export const PLANTED = {
  HF_TOKEN: `hf_${MARK}huggingface`,
  AWS_ACCESS_KEY_ID: `AKIA${MARK}aws`,
  AWS_SECRET_ACCESS_KEY: `${MARK}/aws+secret`,
  AWS_SESSION_TOKEN: `${MARK}/aws+session==`,
  AZURE_STORAGE_CONNECTION_STRING: `DefaultEndpointsProtocol=http;AccountName=acct;AccountKey=${
    btoa(MARK)
  };BlobEndpoint=http://127.0.0.1:1/acct;`,
  AZURE_STORAGE_SAS_TOKEN: `sv=2024-01-01&sig=${MARK}sas%2F%3D`,
  HTTPS_PROXY: `http://ann:${MARK}proxy@127.0.0.1:1`,
  OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${MARK}otlp`,
} as const;

/** A password for URIs. */
export const PASSWORD = `${MARK}password`;

/** What of the planted secrets stands in a text, with what is around it; empty where all is well. */
export function leaks(text: string): string[] {
  const found = new RegExp(`.{0,80}(?:${MARK}|${btoa(MARK).replace(/=+$/, "")}).{0,40}`, "g");
  return text.match(found) ?? [];
}

/** The {@link leaks} of every file below a folder, each with its path. Bytes are looked at as text. */
export async function leaksBelow(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) found.push(...await leaksBelow(path));
    if (!isFile) continue;
    const text = new TextDecoder("latin1").decode(await Deno.readFile(path));
    found.push(...leaks(text).map((leak) => `${path}: ${leak}`));
  }
  return found;
}
