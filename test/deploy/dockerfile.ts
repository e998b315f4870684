/**
 * Reads as much of a Dockerfile as this project's has.
 *
 * @module
 */

/** One instruction and the text after its name, its lines joined. */
export interface Instruction {
  readonly name: string;
  readonly text: string;
}

/** What stands between one FROM and the next. */
export interface Stage {
  readonly base: string;
  /** The name after AS; null without one. */
  readonly name: string | null;
  readonly instructions: readonly Instruction[];
}

/** The stages of a Dockerfile, in order. @throws {SyntaxError} If an instruction comes before the first FROM. */
export function parseDockerfile(source: string): Stage[] {
  const stages: { base: string; name: string | null; instructions: Instruction[] }[] = [];
  const lines = source.split("\n").filter((line) => !/^\s*#/.test(line)).join("\n").replace(/\\\n/g, " ");
  for (const line of lines.split("\n").filter((line) => line.trim() !== "")) {
    const [, name, text] = /^(\w+)\s+(.*)$/.exec(line.trim())!;
    if (name === "FROM") {
      const [base, , alias] = text!.split(/\s+/);
      stages.push({ base: base!, name: alias ?? null, instructions: [] });
    } else if (stages.length === 0) throw new SyntaxError(`${name} comes before the first FROM`);
    else stages.at(-1)!.instructions.push({ name: name!, text: text!.replace(/\s+/g, " ") });
  }
  return stages;
}

/** `NAME=value` pairs of ENV and ARG. */
export function assignments(text: string): [string, string][] {
  return text.split(" ").map((pair) => {
    const [, name, value] = /^([^=]+)=(.*)$/.exec(pair)!;
    return [name!, value!];
  });
}

/** What a COPY takes from where: `from` is a stage, or null for the build's folder. */
export function copyOf(
  text: string,
): { readonly from: string | null; readonly sources: string[]; readonly target: string } {
  const words = text.split(" ");
  const from = words[0]!.startsWith("--from=") ? words.shift()!.slice("--from=".length) : null;
  const target = words.pop()!;
  return { from, sources: words, target };
}
