/**
 * Something that went wrong, with all its parts.
 *
 * @module
 */
import type { PlainError } from "../protocol/plain_error.ts";

export function Problem({ title, problem, id }: { title: string; problem: PlainError; id?: string }) {
  const { message, issues } = problem, lines = issues.length > 0 ? issues : message.split("\n");
  return (
    <section {...(id ? { id } : {})} role="alert" class="card problem">
      <h2>{title}</h2>
      {lines.map((line, i) => <p key={i}>{line}</p>)}
    </section>
  );
}
