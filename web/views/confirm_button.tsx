/**
 * A button for what cannot be undone: the first press asks, the second does it.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

/** So long the question stands, milliseconds. */
const ASKING_MS = 5000;

interface ConfirmProps {
  readonly label: string;
  /** What the second press is asked with. */
  readonly question: string;
  readonly id?: string;
  /** What it is about, where several of them stand beside each other. */
  readonly about?: string;
  readonly disabled?: boolean;
  readonly isSmall?: boolean;
  readonly onConfirm: () => void;
}

export function ConfirmButton(
  { label, question, id, about, disabled = false, isSmall = false, onConfirm }: ConfirmProps,
) {
  const asking = useSignal(false);
  useEffect(() => {
    if (!asking.value) return;
    const timer = setTimeout(() => asking.value = false, ASKING_MS);
    return () => clearTimeout(timer);
  }, [asking.value]);
  const press = ({ detail }: MouseEvent) => {
    if (detail > 1) return; // a double click is one press
    if (asking.value) onConfirm();
    asking.value = !asking.value;
  };
  return (
    <button
      id={id}
      type="button"
      class={`second ${asking.value ? "warn" : "quiet"}${isSmall ? " small" : ""}`}
      disabled={disabled}
      onBlur={() => asking.value = false}
      onClick={press}
      onKeyDown={(event) => event.repeat && event.preventDefault()} // neither is a key that is held down
    >
      <span aria-live="polite">
        {asking.value ? question : label}
        {about !== undefined && <span class="unseen">{` ${about}`}</span>}
      </span>
    </button>
  );
}
