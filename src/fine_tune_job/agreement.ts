/**
 * What the ranks of a run must have in common before they train together.
 *
 * @module
 */
import type { RunIdentity } from "../checkpoint/resume_record.ts";
import { ConfigError, type ConfigIssue } from "../errors.ts";
import type { Communicator } from "../distributed/communicator.ts";

/** What each rank tells the others of. */
export interface RankFacts {
  readonly identity: Omit<RunIdentity, "gpu">;
  /** Step of the checkpoint that it goes on from; 0 where it begins. */
  readonly step: number;
}

/** Names of what is compared, with what to look at where it differs. */
const MATTERS: readonly [name: string, cure: string, of: (facts: RankFacts) => unknown][] = [
  ["lowrank", "start the same version everywhere", ({ identity }) => identity.lowrank],
  ["base_model", "put the same model there", ({ identity }) => identity.base_model],
  ["training_data_path", "put the same file there", ({ identity }) => identity.data.train],
  ["eval_data_path", "put the same file there", ({ identity }) => identity.data.eval],
  ["tokenizer", "put the same one there", ({ identity }) => identity.rows],
  ["output_dir", "put it on storage that all ranks share", ({ step }) => step],
];

/**
 * Waits for all ranks, and has none go on that would train something else.
 *
 * @throws {ConfigError} On every rank, with all that differs from rank 0 and where.
 */
export async function agree(ranks: Communicator, facts: RankFacts): Promise<void> {
  if (ranks.size === 1) return;
  const told = (await ranks.gather(JSON.stringify(facts))).map((text) => JSON.parse(text) as RankFacts);
  const lead = told[0]!, issues: ConfigIssue[] = [];
  const compare = (path: string, cure: string, of: (facts: RankFacts) => unknown) => {
    const want = JSON.stringify(of(lead));
    const others = told.flatMap((one, rank) => JSON.stringify(of(one)) === want ? [] : [rank]);
    if (others.length === 0) return;
    const found = [lead, told[others[0]!]!].map((one) => short(of(one)));
    const message = `differs between ranks: ${found[0]} on rank 0, ${found[1]} on rank ${others.join(", ")}`;
    issues.push({ path, message: `${message}; ${cure}` });
  };
  for (const name of Object.keys(lead.identity.config)) {
    compare(name, "give every rank the same options", ({ identity }) => identity.config[name]);
  }
  for (const matter of MATTERS) compare(...matter);
  if (issues.length > 0) throw new ConfigError(issues);
}

/** @throws {Error} If parameters are not the same on all ranks, bit for bit. */
export async function agreeOnParameters(
  ranks: Communicator,
  parameters: Iterable<Float32Array<ArrayBuffer>>,
  when: string,
): Promise<void> {
  if (ranks.size === 1) return;
  const hashes: string[] = [];
  for (const values of parameters) {
    const digest = await crypto.subtle.digest("SHA-256", values);
    hashes.push(new Uint8Array(digest).slice(0, 8).toHex());
  }
  const [want, ...others] = await ranks.gather(hashes.join());
  const odd = others.findIndex((text) => text !== want) + 1;
  if (odd === 0) return;
  throw new Error(
    `The parameters of rank ${odd} are not those of rank 0 ${when}: the ranks need GPUs and drivers of one kind`,
  );
}

function short(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
