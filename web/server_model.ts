/**
 * The base models of the page's server by paths of the page: `server/NAME`, where the name is encoded as one part.
 *
 * @module
 */
import type { ServerAccess } from "./lowrank_server.ts";
import { HttpFolder, LISTING_FILE } from "./storage/http_folder.ts";

/** Before the names of the server's models. */
export const SERVER_MODELS = "server";

/** The path of a model of the server by its name there. */
export function serverModelPath(id: string): string {
  return `${SERVER_MODELS}/${encodeURIComponent(id)}`;
}

/** The name of a model on the server by its path; null for models elsewhere. */
export function serverModelId(path: string): string | null {
  const [first, encoded] = path.split("/");
  return first === SERVER_MODELS && encoded ? decodeURIComponent(encoded) : null;
}

/** Whether a path is one of a model that a job of the server made: an adapter on one of its base models. */
export function isTunedOnServer(path: string): boolean {
  return serverModelId(path)?.startsWith("ft:") ?? false;
}

/** The files of a model's base. Read in ranges, as they are needed. */
export function serverModelFolder(id: string, { api, token }: ServerAccess): HttpFolder {
  const headersOf = (init?: RequestInit) => {
    const headers = new Headers(init?.headers);
    if (token !== "") headers.set("authorization", `Bearer ${token}`);
    return headers;
  };
  const files = `${api}api/models/${encodeURIComponent(id)}/files`;
  const fetcher = async (input: URL | RequestInfo, init?: RequestInit) => {
    const headers = headersOf(init);
    if (String(input) !== `${files}/${LISTING_FILE}`) return await fetch(input, { ...init, headers });
    headers.delete("range");
    const answer = await fetch(files, { headers });
    if (!answer.ok) return answer;
    const { data }: { data: { path: string }[] } = await answer.json();
    return Response.json(data.map(({ path }) => path));
  };
  return new HttpFolder(files, serverModelPath(id), fetcher);
}
