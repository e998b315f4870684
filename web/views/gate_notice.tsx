/**
 * Why this browser cannot train, or trains slowly.
 *
 * @module
 */
import type { Gate } from "../gate.ts";

export function GateNotice({ gate }: { gate: Gate }) {
  if (!gate.open) {
    return (
      <section id="gate" role="alert" class="card problem" data-missing={gate.missing}>
        <h2>This browser cannot train</h2>
        <p>{gate.problem} {gate.cure}</p>
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
