/**
 * What a run takes of the GPU's memory, by use.
 *
 * @module
 */
import type { MemoryRow } from "../../src/job.ts";
import { byteSize } from "../figures.ts";

export function MemoryRows({ memory, tight = false }: {
  readonly memory: readonly MemoryRow[];
  /** With less space between the rows. */
  readonly tight?: boolean;
}) {
  return (
    <dl class={tight ? "pairs tight" : "pairs"}>
      {memory.map(({ what, bytes }) => (
        <div key={what}>
          <dt>{what}</dt>
          <dd>{byteSize(bytes)}</dd>
        </div>
      ))}
    </dl>
  );
}
