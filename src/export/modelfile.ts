/**
 * Ollama's Modelfile: which files make the model, its template in Go's template language, and where answers end.
 *
 * @see https://github.com/ollama/ollama/blob/main/docs/modelfile.mdx
 * @module
 */
import type { ChatParts } from "./chat_parts.ts";

/** What a Modelfile says. */
export interface ModelfileFacts {
  /** A file beside it (`./x.gguf`), or the name of a model that Ollama has. */
  readonly from: string;
  /** A GGUF adapter beside it; null for none. */
  readonly adapter: string | null;
  /** Go template; null for Ollama's choice. */
  readonly template: string | null;
  /** Default system message; null for none. */
  readonly system: string | null;
  /** Texts that end an answer. */
  readonly stops: readonly string[];
}

/** @throws {RangeError} If a text holds `"""`, which a Modelfile cannot quote. */
export function modelfile({ from, adapter, template, system, stops }: ModelfileFacts): string {
  return [
    `FROM ${from}`,
    ...(adapter === null ? [] : [`ADAPTER ${adapter}`]),
    ...(template === null ? [] : [`TEMPLATE ${quoted("the template", template)}`]),
    ...(system === null ? [] : [`SYSTEM ${quoted("the system message", system)}`]),
    ...stops.filter((stop) => !/["\n]/.test(stop)).map((stop) => `PARAMETER stop "${stop}"`),
  ].map((line) => `${line}\n`).join("");
}

function quoted(what: string, text: string): string {
  if (!text.includes('"""')) return `"""${text}"""`;
  throw new RangeError(
    `Cannot write ${what} into a Modelfile: it holds """, which ends a text there; leave it out`,
  );
}

/**
 * The parts of a chat template in Go's language, as Ollama runs it: `.System` is what all system messages say, and
 * `.Messages` holds them once more. An assistant's message at the end is gone on with.
 *
 * Fixed texts are quoted, so that no white space of theirs is lost to the layout.
 */
export function goTemplate({ head, system, user, assistant, prompt }: ChatParts): string {
  const opening = system
    ? `{{- if .System }}${fixed(system.before)}{{ .System }}${fixed(system.after)}{{ else }}${
      fixed(head)
    }{{ end }}`
    : fixed(head);
  const userBefore = system?.inUserTurn
    ? `{{ if not (and $first $.System) }}${fixed(user.before)}{{ end }}`
    : fixed(user.before);
  const [first, later] = system?.inUserTurn
    ? ["\n{{- $first := true }}", "\n{{- $first = false }}"]
    : ["", ""];
  return `${opening}${first}
{{- range $i, $_ := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 }}
{{- if eq .Role "user" }}${userBefore}{{ .Content }}${fixed(user.after)}${later}
{{- else if eq .Role "assistant" }}${fixed(assistant.before)}{{ .Content }}{{ if not $last }}${
    fixed(assistant.after)
  }{{ end }}
{{- end }}
{{- if and $last (ne .Role "assistant") }}${fixed(prompt)}{{ end }}
{{- end -}}
`;
}

/** A text that stands as it is; JSON's escapes are Go's too. */
function fixed(text: string): string {
  return text === "" ? "" : `{{ ${JSON.stringify(text)} }}`;
}
