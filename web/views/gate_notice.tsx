/**
 * Why this browser cannot train, or trains slowly.
 *
 * @module
 */
import type { Gate } from "../gate.ts";

/** @param hasServer Whether a server that trains is behind the page. */
export function GateNotice({ gate, hasServer }: { gate: Gate; hasServer: boolean }) {
  if (!gate.open) {
    return (
      <section id="gate" role="alert" class="card problem" data-missing={gate.missing}>
        <h2>This browser cannot train</h2>
        <p>{gate.problem} {gate.cure}</p>
        {hasServer && <p>The server behind this page can: set a run up as usual, and start it there.</p>}
        <small class="soft">
          The <a href="#/chat">chat</a> works without it, more slowly.
        </small>
      </section>
    );
  }
  if (!gate.software) return null;
  return (
    <p id="gate" class="notice">
      A software adapter: it computes on the CPU, far slower than a GPU would.
    </p>
  );
}
