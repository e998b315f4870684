/**
 * Requests to one repository of the Hugging Face Hub, pinned to one commit, and what its refusals mean.
 *
 * @module
 */
import { StorageBucketError, StorageDeniedError } from "../errors.ts";
import { variable } from "./environment.ts";
import { type Advice, type Attempt, fetchFor, statusFailure } from "./failures.ts";
import type { Watch } from "./stall.ts";

/** How to get to the Hub. */
export interface HubOptions {
  /** Default: the variable HF_ENDPOINT, https://huggingface.co. */
  readonly endpoint?: string;
  /** Default: the variable HF_TOKEN, or the file that `hf auth login` writes. Empty for none. */
  readonly token?: string;
  /** Sends requests; default the platform's. */
  readonly fetch?: typeof fetch;
}

/** What a revision of a repository is at the moment. */
export interface HubState {
  /** In hex; all files that are read are of it. */
  readonly commit: string;
  /** The repository's own name, another one than was asked for where it was renamed. */
  readonly id: string;
}

const ADVICE: Advice = {
  bucket: "repository",
  denied: "set HF_TOKEN to a token that may read it (huggingface.co/settings/tokens)",
};
/** Names that are asked for to find one that is meant. */
const SIMILAR_LIMIT = 100;

export class HubRequests {
  readonly #kind: "models" | "datasets" | "spaces";
  readonly #revision: string;
  readonly #endpoint: string;
  readonly #token: string | null;
  readonly #fetch: typeof fetch;
  #repository: string;
  #state: Promise<HubState> | null = null;

  /** @param token Null for none. */
  constructor(repository: string, options: Omit<HubOptions, "token"> & { readonly token: string | null }) {
    const [, kind, name, revision] =
      /^(?:(models|datasets|spaces)\/)?([^/@]+\/[^/@]+)(?:@(.+))?$/.exec(repository) ?? [];
    if (name === undefined) {
      throw new RangeError(
        `Cannot use "${repository}" as a repository: write owner/model or datasets/owner/data`,
      );
    }
    this.#repository = name;
    this.#kind = (kind ?? "models") as "models" | "datasets" | "spaces";
    this.#revision = revision ?? "main";
    const endpoint = options.endpoint ?? variable("HF_ENDPOINT") ?? "https://huggingface.co";
    this.#endpoint = endpoint.replace(/\/+$/, "");
    this.#token = options.token || null;
    this.#fetch = options.fetch ?? fetch;
  }

  async fileUrl(attempt: Attempt, name: string, signal?: AbortSignal): Promise<URL> {
    const { commit } = await this.state(attempt, signal);
    const kind = this.#kind === "models" ? "" : `${this.#kind}/`;
    return new URL(`${this.#endpoint}/${kind}${this.#repository}/resolve/${commit}/${encoded(name)}`);
  }

  async treeUrl(attempt: Attempt, folder: string, signal?: AbortSignal): Promise<URL> {
    const { commit } = await this.state(attempt, signal);
    const path = folder === "" ? "" : `/${encoded(folder)}`;
    return new URL(
      `${this.#endpoint}/api/${this.#kind}/${this.#repository}/tree/${commit}${path}?recursive=true`,
    );
  }

  /** Sends a request. fetch leaves the token out when it follows to another host. @throws What a refusal means. */
  async send(attempt: Attempt, url: URL, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.#token) headers.set("authorization", `Bearer ${this.#token}`);
    const get = this.#fetch;
    const ask = ({ signal }: Watch) => get(url, { ...init, headers, signal });
    const response = await fetchFor(attempt, ask, init.signal ?? undefined);
    if (response.ok || (response.status >= 300 && response.status < 400 && init.redirect === "manual")) {
      return response;
    }
    await response.body?.cancel();
    throw this.#failure(attempt, response);
  }

  /** What the revision is at now, asked for once, so that all files are of one commit. */
  state(attempt: Attempt, signal?: AbortSignal): Promise<HubState> {
    const asked = this.#state ??= this.#askState(attempt, signal);
    asked.catch(() => this.#state = null);
    return asked;
  }

  /** Names of repositories by the same owner, and of those with a similar name. */
  async similar(attempt: Attempt, signal?: AbortSignal): Promise<string[]> {
    const [owner, name] = this.#repository.split("/") as [string, string];
    const queries = [{ author: owner }, { search: name }].map((query) => {
      const url = new URL(`${this.#endpoint}/api/${this.#kind}`);
      url.search = new URLSearchParams({ ...query, limit: String(SIMILAR_LIMIT) }).toString();
      return url;
    });
    const lists = await Promise.all(queries.map(async (url) => {
      const response = await this.send(attempt, url, { signal: signal ?? null });
      const found = await fetchFor<unknown>(attempt, () => response.json(), signal);
      return Array.isArray(found) ? found.map(({ id }) => id).filter((id) => typeof id === "string") : [];
    }));
    return [...new Set(lists.flat())];
  }

  async #askState(attempt: Attempt, signal?: AbortSignal): Promise<HubState> {
    const revision = encodeURIComponent(this.#revision);
    const url = new URL(`${this.#endpoint}/api/${this.#kind}/${this.#repository}/revision/${revision}`);
    const response = await this.send(attempt, url, { signal: signal ?? null });
    const { sha, id } = await fetchFor<{ sha?: unknown; id?: unknown }>(
      attempt,
      () => response.json(),
      signal,
    );
    if (typeof sha !== "string" || !/^[0-9a-f]{40}$/.test(sha)) {
      throw new Error(
        `Cannot ${attempt.verb} "${attempt.uri}": ${this.#endpoint} does not answer as the Hub does`,
      );
    }
    // a request to the old name of a renamed repository is referred to the new one
    if (typeof id === "string" && /^[^/@]+\/[^/@]+$/.test(id)) this.#repository = id;
    return { commit: sha, id: this.#repository };
  }

  #failure({ verb, uri }: Attempt, { status, headers }: Response): Error {
    const page = `${this.#endpoint}/${this.#kind === "models" ? "" : `${this.#kind}/`}${this.#repository}`;
    const code = headers.get("x-error-code");
    if (code === "GatedRepo") {
      return new StorageDeniedError(
        `Cannot ${verb} "${uri}" as its authors ask for consent: accept the terms at ${page}, then ${ADVICE.denied}`,
      );
    }
    if (code === "RepoNotFound" || (status === 401 && code === null && this.#token === null)) {
      // the Hub does not say whether a repository is private or not there
      return new StorageBucketError(
        `Cannot ${verb} "${uri}" as ${page} is not there or private: check its name, or ${ADVICE.denied}`,
      );
    }
    if (code === "RevisionNotFound") {
      return new StorageBucketError(
        `Cannot ${verb} "${uri}" as ${page} has no revision "${this.#revision}": check the name after @`,
      );
    }
    if (status === 401) {
      return new StorageDeniedError(
        `Cannot ${verb} "${uri}" as ${this.#endpoint} does not accept the token: ${ADVICE.denied}`,
      );
    }
    return statusFailure({ verb, uri }, ADVICE, status);
  }
}

function encoded(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}
