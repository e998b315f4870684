/**
 * Bearer tokens. The server keeps their hashes only.
 *
 * @module
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { Database } from "./database.ts";
import { randomWord } from "./ids.ts";
import { type Caller, grantedRights, type GrantedScope, isGrantedScope } from "./scopes.ts";

/** A token as it is listed. Times are milliseconds since 1970. */
export interface TokenEntry {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly GrantedScope[];
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
}

interface Row {
  readonly id: string;
  readonly name: string;
  readonly secret_hash: string;
  readonly scopes: string;
  readonly created_at: number;
  readonly expires_at: number | null;
  readonly revoked_at: number | null;
}

/** `lowrank_<12 letters, the id>_<43 letters, 256 bits>`: the id finds the row, the secret is compared. */
const TOKEN = /^lowrank_([A-Za-z0-9]{12})_([A-Za-z0-9]{43})$/;

/** A hash that no secret has, to be compared with where there is no such token: the answer takes as long. */
const NO_HASH = "0".repeat(64);

export class TokenStore {
  readonly #database: Database;
  readonly #now: () => number;

  constructor(database: Database, now: () => number = Date.now) {
    this.#database = database;
    this.#now = now;
  }

  /**
   * Makes a token. It is shown once: the store keeps a SHA-256 of its random secret, from which it cannot be found.
   *
   * @param expiresAt Milliseconds since 1970; null for a token that does not expire.
   */
  create(
    name: string,
    scopes: readonly GrantedScope[],
    expiresAt: number | null = null,
  ): { id: string; token: string } {
    const id = randomWord(12), secret = randomWord(43);
    this.#database.run(
      "INSERT INTO tokens (id, name, secret_hash, scopes, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
      id,
      name,
      hash(secret),
      scopes.join(" "),
      this.#now(),
      expiresAt,
    );
    return { id, token: `lowrank_${id}_${secret}` };
  }

  list(): TokenEntry[] {
    return this.#database.all<Row>("SELECT * FROM tokens ORDER BY created_at, id").map((row) => ({
      id: row.id,
      name: row.name,
      scopes: scopesOf(row),
      createdAt: row.created_at,
      expiresAt: row.expires_at,
      revokedAt: row.revoked_at,
    }));
  }

  /** @returns Whether there was such a token in use. */
  revoke(id: string): boolean {
    const sql = "UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL";
    return this.#database.run(sql, this.#now(), id) > 0;
  }

  /** Whether any token was ever made: a server that has some lets nobody in without one, revoked or not. */
  hasAny(): boolean {
    return this.#database.get("SELECT 1 FROM tokens LIMIT 1") !== undefined;
  }

  /** Who holds a token; null if it is unknown, revoked or expired. Takes as long for a wrong secret as for the right one. */
  callerOf(token: string): Caller | null {
    const [, id = "", secret = ""] = TOKEN.exec(token) ?? [];
    const row = this.#database.get<Row>("SELECT * FROM tokens WHERE id = ?", id);
    const isRight = timingSafeEqual(
      new TextEncoder().encode(row?.secret_hash ?? NO_HASH),
      new TextEncoder().encode(hash(secret)),
    );
    if (!row || !isRight || row.revoked_at !== null) return null;
    if (row.expires_at !== null && row.expires_at <= this.#now()) return null;
    return { tokenId: row.id, ...grantedRights(scopesOf(row)) };
  }
}

/** Scopes of a row; those of another version that this one does not know are left out. */
function scopesOf({ scopes }: Row): GrantedScope[] {
  return scopes.split(" ").filter(isGrantedScope);
}

function hash(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}
