/**
 * What a run has made, for download.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import type { ViewProps } from "../app.tsx";
import { saveAs } from "../download.ts";
import { byteSize } from "../figures.ts";
import { type PlainError, plainError } from "../protocol.ts";
import type { RunState } from "../run_state.ts";
import { Problem } from "./problem.tsx";

export function RunFiles({ session: { engine }, run }: ViewProps & { run: RunState }) {
  const problem = useSignal<PlainError | null>(null);
  const files = run.files.value;
  if (files.length === 0) return null;
  const save = async (path: string) => {
    problem.value = null;
    try {
      saveAs(await engine!.ask("readFile", { run: run.name, path }), path.slice(path.lastIndexOf("/") + 1));
    } catch (error) {
      problem.value = plainError(error);
    }
  };
  return (
    <section id="made" class="card" aria-labelledby="made-title">
      <h2 id="made-title">Files</h2>
      <p id="verdict">{run.verdict.value}</p>
      {problem.value && <Problem title="The file cannot be read" problem={problem.value} />}
      <ul id="files" class="files">
        {files.map(({ path, bytes }) => (
          <li key={path}>
            <button type="button" class="link" onClick={() => void save(path)}>{path}</button>
            <span class="soft">{byteSize(bytes)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
