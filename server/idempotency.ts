/**
 * `Idempotency-Key`: the same request sent twice makes one thing.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { Database } from "./database.ts";
import { ApiError, badRequest } from "./errors.ts";

/** How long a key is remembered. */
const KEPT_MS = 24 * 3_600_000;

interface Row {
  readonly request_hash: string;
  readonly resource_id: string;
}

/** A request that bears a key. */
export interface KeyedRequest {
  /** Whose key it is: keys of others are others. */
  readonly caller: string | null;
  readonly key: string;
  /** What is asked for, as plain data. */
  readonly request: unknown;
}

export class IdempotencyKeys {
  readonly #database: Database;
  readonly #now: () => number;

  constructor(database: Database, now: () => number = Date.now) {
    this.#database = database;
    this.#now = now;
  }

  /**
   * Makes a thing, or finds the one that the same request made. Both happen in one transaction, so no request is ever met
   * while the first is still being handled.
   *
   * @returns The thing's id.
   * @throws {ApiError} 400 for a key that is none, 422 for one that was used for another request.
   */
  once({ caller, key, request }: KeyedRequest, make: () => string): string {
    if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
      throw badRequest("The Idempotency-Key must be 1 to 255 visible ASCII characters.", "Idempotency-Key");
    }
    const owner = caller ?? "", hash = createHash("sha256").update(JSON.stringify(request)).digest("hex");
    return this.#database.transaction(() => {
      this.#database.run("DELETE FROM idempotency_keys WHERE created_at <= ?", this.#now() - KEPT_MS);
      const known = this.#database.get<Row>(
        "SELECT request_hash, resource_id FROM idempotency_keys WHERE caller = ? AND key = ?",
        owner,
        key,
      );
      if (known?.request_hash === hash) return known.resource_id;
      if (known) {
        const message = "This Idempotency-Key was used for a request with another body: use a new one.";
        throw new ApiError(422, message, { param: "Idempotency-Key", code: "idempotency_key_reused" });
      }
      const id = make();
      this.#database.run(
        "INSERT INTO idempotency_keys (caller, key, request_hash, resource_id, created_at) VALUES (?, ?, ?, ?, ?)",
        owner,
        key,
        hash,
        id,
        this.#now(),
      );
      return id;
    });
  }
}
