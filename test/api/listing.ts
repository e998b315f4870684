/**
 * The public API as text: what each entry of the package exports, and the signature of each name, without its prose.
 *
 *     deno task api    writes test/api/public_api.txt anew, after a wanted change
 *
 * @module
 */
import config from "../../deno.json" with { type: "json" };

const ROOT = new URL("../../", import.meta.url);

/** Where the listing is kept. */
export const LISTING_FILE = new URL("public_api.txt", import.meta.url);

/** Source files of the entries by their names in imports. */
export const ENTRIES: ReadonlyMap<string, string> = new Map(Object.entries(config.exports));

/** The parts of `deno doc --json` that are read. */
interface DocJson {
  readonly nodes: Readonly<Record<string, { readonly symbols?: readonly DocSymbol[] }>>;
}

interface DocSymbol {
  readonly name: string;
  readonly declarations: readonly {
    readonly jsDoc?: { readonly tags?: readonly { readonly kind: string }[] };
  }[];
}

/** Runs `deno doc` on every entry. */
export async function denoDoc(
  ...flags: string[]
): Promise<{ success: boolean; text: string; errors: string }> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", ...flags, ...ENTRIES.values()],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  const [text, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { success, text: text!, errors: errors! };
}

/**
 * What each entry exports, then every signature with those of its members. What is marked `@internal` may change at any
 * time and is left out.
 */
export async function apiListing(): Promise<string> {
  const [json, printed] = await Promise.all([denoDoc("--json"), denoDoc()]);
  const failed = [json, printed].find(({ success }) => !success);
  if (failed) throw new Error(`deno doc failed: ${failed.errors}`);
  const doc: DocJson = JSON.parse(json.text), prose = proseOf(doc);
  const internal = new Set(
    Object.values(doc.nodes).flatMap(({ symbols = [] }) =>
      symbols.filter(isInternal).map(({ name }) => name)
    ),
  );
  const exported = [...ENTRIES].flatMap(([entry, file]) => {
    const symbols = doc.nodes[new URL(file, ROOT).href]?.symbols ?? [];
    const names = new Set(symbols.map(({ name }) => name)).difference(internal);
    return [...names].sort().map((name) => `lowrank${entry.slice(1)}: ${name}`);
  });
  const blocks = [...printed.text.matchAll(BLOCK)]
    .filter(([, block]) => !/^\s*reference /.test(block!) && !internal.has(NAME.exec(block!)?.[1] ?? ""))
    .map(([, block]) => signatures(block!, prose));
  return `${exported.join("\n")}\n\n${[...new Set(blocks)].sort().join("\n")}`;
}

/** One name with its members, up to the next name, file or the end. */
const BLOCK = /^Defined in .*\n([^]*?)(?=^Defined in |^file:\/\/|(?![^]))/gm;
const NAME = /^(?:abstract |async )?(?:class|interface|type|function\*?|const|enum|namespace) (\w+)/m;

function isInternal({ declarations }: DocSymbol): boolean {
  return declarations.some(({ jsDoc }) => jsDoc?.tags?.some(({ kind }) => kind === "internal"));
}

/** Signatures stand at the margin and those of members two columns from it; between and below them is prose. */
function signatures(block: string, prose: ReadonlySet<string>): string {
  const lines = block.split("\n").filter((line) =>
    line.trim() !== "" && !/^ {4}|^ {2}(@|private )/.test(line) && !prose.has(line.trim())
  );
  return `${lines.join("\n")}\n`;
}

/** Every line of every doc comment. */
function proseOf(value: unknown, lines = new Set<string>()): ReadonlySet<string> {
  if (typeof value !== "object" || value === null) return lines;
  for (const [key, part] of Object.entries(value)) {
    if (key === "doc" && typeof part === "string") part.split("\n").forEach((line) => lines.add(line.trim()));
    else proseOf(part, lines);
  }
  return lines;
}

if (import.meta.main) await Deno.writeTextFile(LISTING_FILE, await apiListing());
