/**
 * Streams that let no secret out, whoever writes to them.
 *
 * @module
 */
import { redacted } from "../redact.ts";
import type { CliIo, Sink } from "./io.ts";

/**
 * The same outside, but what is written to it is {@link redacted}.
 *
 * @param keepsOutput Whether standard output stays as it is.
 */
export function withoutSecrets(io: CliIo, keepsOutput: boolean): CliIo {
  const stderr = new RedactingSink(io.stderr);
  return { ...io, stderr, stdout: keepsOutput ? io.stdout : new RedactingSink(io.stdout) };
}

class RedactingSink implements Sink {
  readonly #sink: Sink;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  write(text: string): void {
    this.#sink.write(redacted(text));
  }

  get isTerminal(): boolean {
    return this.#sink.isTerminal;
  }

  get columns(): number {
    return this.#sink.columns;
  }
}
