/**
 * What a job leaves on its disk, to be compared bit for bit with what another left.
 *
 * @module
 */
import { type Folder, readText } from "../../src/storage.ts";
import type { MemoryFolder } from "../../src/storage/memory.ts";

/** A whole file. */
export async function bytes(folder: Folder, name: string): Promise<Uint8Array> {
  const file = await folder.open(name);
  return await file.read(0, file.size);
}

/** What a run leaves, without what depends on the clock. */
export async function left(root: MemoryFolder, step = 8) {
  const output = root.folder("runs/ember");
  const checkpoint = output.folder(`checkpoint-${step}`);
  const lines = (await readText(output, "metrics.jsonl")).trimEnd().split("\n");
  const { log_history: history } = JSON.parse(await readText(output, "trainer_state.json"));
  return {
    adapter: await bytes(output.folder("adapter"), "adapter_model.safetensors"),
    adapterConfig: await readText(output.folder("adapter"), "adapter_config.json"),
    weights: await bytes(checkpoint, "adapter_model.safetensors"),
    moments: await bytes(checkpoint, "optimizer.safetensors"),
    metrics: lines.map((line) => ({ ...JSON.parse(line), tokens_per_second: null })),
    history: history.map((row: Record<string, unknown>) => ({ ...row, eval_runtime: null })),
  };
}
