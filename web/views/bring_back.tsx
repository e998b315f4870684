/**
 * Takes a run back from the server.
 *
 * @module
 */
import type { ViewProps } from "../app.tsx";

export function BringBack({ session, name, label }: ViewProps & {
  /** Of the run. */
  readonly name: string;
  readonly label: string;
}) {
  const isMoving = session.moving.value;
  return (
    <button
      id="bring-back"
      type="button"
      class="second"
      disabled={isMoving}
      onClick={() => void session.bringBack(name)}
    >
      {isMoving ? "Bringing back …" : label}
    </button>
  );
}
