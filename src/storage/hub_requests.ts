/**
 * Requests to one repository of the Hugging Face Hub, pinned to one commit, and what its refusals mean.
 *
 * @module
 */
import { StorageBucketError, StorageDeniedError } from "../errors.ts";
import { variable } from "./environment.ts";
import { type Advice, type Attempt, fetchFor, statusFailure } from "./failures.ts";

/** How to get to the Hub. */
export interface HubOptions {
  /** Default: the variable HF_ENDPOINT, https://huggingface.co. */
  readonly endpoint?: string;
  /** Default: the variable HF_TOKEN. */
  readonly token?: string;
}

const ADVICE: Advice = {
  bucket: "repository",
  denied: "set HF_TOKEN to a token that may read it (huggingface.co/settings/tokens)",
};

export class HubRequests {
  readonly #repository: string;
  readonly #revision: string;
  readonly #kind: "models" | "datasets" | "spaces";
  readonly #endpoint: string;
  readonly #token: string | null;
  #commit: Promise<string> | null = null;

  constructor(repository: string, options: HubOptions) {
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
    this.#endpoint = (options.endpoint ?? variable("HF_ENDPOINT") ?? "https://huggingface.co").replace(
      /\/+$/,
      "",
    );
    this.#token = (options.token ?? variable("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")) || null;
  }

  async fileUrl(attempt: Attempt, name: string, signal?: AbortSignal): Promise<URL> {
    const commit = await this.#pinned(attempt, signal);
    const kind = this.#kind === "models" ? "" : `${this.#kind}/`;
    return new URL(`${this.#endpoint}/${kind}${this.#repository}/resolve/${commit}/${encoded(name)}`);
  }

  async treeUrl(attempt: Attempt, folder: string, signal?: AbortSignal): Promise<URL> {
    const commit = await this.#pinned(attempt, signal);
    const path = folder === "" ? "" : `/${encoded(folder)}`;
    return new URL(
      `${this.#endpoint}/api/${this.#kind}/${this.#repository}/tree/${commit}${path}?recursive=true`,
    );
  }

  /** Sends a request. fetch leaves the token out when it follows to another host. @throws What a refusal means. */
  async send(attempt: Attempt, url: URL, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.#token) headers.set("authorization", `Bearer ${this.#token}`);
    const response = await fetchFor(
      attempt,
      () => fetch(url, { ...init, headers }),
      init.signal ?? undefined,
    );
    if (response.ok || (response.status >= 300 && response.status < 400 && init.redirect === "manual")) {
      return response;
    }
    await response.body?.cancel();
    throw this.#failure(attempt, response);
  }

  /** The commit that the revision is at now, asked for once, so that all files are of one state. */
  #pinned(attempt: Attempt, signal?: AbortSignal): Promise<string> {
    const asked = this.#commit ??= this.#askCommit(attempt, signal);
    asked.catch(() => this.#commit = null);
    return asked;
  }

  async #askCommit(attempt: Attempt, signal?: AbortSignal): Promise<string> {
    const revision = encodeURIComponent(this.#revision);
    const url = new URL(`${this.#endpoint}/api/${this.#kind}/${this.#repository}/revision/${revision}`);
    const response = await this.send(attempt, url, { signal: signal ?? null });
    const { sha } = await fetchFor<{ sha?: unknown }>(attempt, () => response.json(), signal);
    if (typeof sha === "string" && /^[0-9a-f]{40}$/.test(sha)) return sha;
    throw new Error(
      `Cannot ${attempt.verb} "${attempt.uri}": ${this.#endpoint} does not answer as the Hub does`,
    );
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
    return statusFailure({ verb, uri }, ADVICE, status);
  }
}

function encoded(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}
