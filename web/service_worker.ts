/**
 * Keeps the built page, with its bundled model and data, so that it works without a network after the first visit.
 *
 * What the server has is always taken first, but for scripts whose names change with what they hold. Its answers are not
 * mixed into what is kept: that is fetched as a whole when this script changes, so that page, worker and engine are always
 * of one build.
 *
 * @module
 */

/** What the build writes before this script. */
interface Build {
  /** Another one for other files. */
  readonly version: string;
  /** Paths below the page's. */
  readonly files: readonly string[];
}

/** An event that lasts as long as a promise. */
interface LifecycleEvent extends Event {
  waitUntil(end: Promise<unknown>): void;
}

interface FetchEvent extends Event {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}

/** What service workers have and TypeScript's page types lack. */
interface ServiceWorkerScope extends EventTarget {
  readonly PAGE_BUILD: Build;
  readonly caches: CacheStorage;
  readonly registration: { readonly scope: string };
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
}

const scope = globalThis as unknown as ServiceWorkerScope;
const { version, files } = scope.PAGE_BUILD;

const base = scope.registration.scope;
/** Other pages of this origin have caches of their own. */
const prefix = `lowrank ${base} `;
const cacheName = prefix + version;
const kept = new Set(files.map((path) => new URL(path, base).href));
/** Scripts that never change under their name. */
const NAMED_BY_CONTENT = /-[0-9A-Z]{8}\.js$/;

async function keep(): Promise<void> {
  const cache = await scope.caches.open(cacheName);
  await cache.addAll([...kept].map((url) => {
    // of others the browser's own cache may hold former ones, or parts
    return new Request(url, { cache: NAMED_BY_CONTENT.test(url) ? "default" : "reload" });
  }));
  await scope.skipWaiting();
}

/** All builds but the last one before this, of which a page may still be open and ask for scripts. */
async function forgetFormer(): Promise<void> {
  const own = (await scope.caches.keys()).filter((name) => name.startsWith(prefix)); // the oldest first
  const former = own.filter((name) => name !== cacheName);
  for (const name of former.slice(0, -1)) await scope.caches.delete(name);
  await scope.clients.claim();
}

/** What this build does not have: the server may, or the build before, whose page is still open. */
async function formerScript(request: Request): Promise<Response> {
  const response = await fetch(request).catch(() => Response.error());
  return response.ok ? response : await scope.caches.match(request.url) ?? response;
}

/** What is kept, without asking the server; that where it is not kept. */
async function keptFirst(request: Request, url: string): Promise<Response> {
  return await (await scope.caches.open(cacheName)).match(url) ?? await fetch(request);
}

/** Of a range, a file that is kept is answered whole, as servers may. */
async function serverFirst(request: Request, url: string): Promise<Response> {
  try {
    return await fetch(request);
  } catch (error) {
    const found = await (await scope.caches.open(cacheName)).match(url);
    if (found) return found;
    throw error;
  }
}

/** What is large and needed by few is kept once it was used. */
async function keepUsed(request: Request): Promise<Response> {
  const cache = await scope.caches.open(cacheName);
  try {
    const response = await fetch(request);
    if (response.status === 200) await cache.put(request.url, response.clone());
    return response;
  } catch (error) {
    const found = await cache.match(request.url);
    if (found) return found;
    throw error;
  }
}

/** Address of the kept file that a request means, without what stands after its path; undefined for all others. */
function keptFile({ method, url }: Request): string | undefined {
  const { origin, pathname } = new URL(url), plain = origin + pathname;
  const file = plain === base ? new URL("index.html", base).href : plain;
  return method === "GET" && kept.has(file) ? file : undefined;
}

scope.addEventListener("install", (event) => (event as LifecycleEvent).waitUntil(keep()));
scope.addEventListener("activate", (event) => (event as LifecycleEvent).waitUntil(forgetFormer()));
scope.addEventListener("fetch", (event) => {
  const { request } = event as FetchEvent, file = keptFile(request);
  if (file !== undefined) {
    const answer = NAMED_BY_CONTENT.test(file) ? keptFirst : serverFirst;
    (event as FetchEvent).respondWith(answer(request, file));
  } else if (request.method === "GET" && request.url.startsWith(`${base}onnx/`)) {
    (event as FetchEvent).respondWith(keepUsed(request));
  } else if (request.destination === "script" && request.url.startsWith(base)) {
    (event as FetchEvent).respondWith(formerScript(request));
  }
});
