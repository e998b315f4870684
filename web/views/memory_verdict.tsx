/**
 * Whether a run fits into the GPU's memory, in words.
 *
 * @module
 */
import { byteSize } from "../figures.ts";
import { setGpuMemory } from "../page/gpu_memory.ts";
import type { JobForm } from "../page/job_form.ts";
import type { Asked } from "../page/job_inputs.ts";
import type { JobPlan } from "../protocol/job.ts";
import { MemoryRows } from "./memory_rows.tsx";

/** How much there is, which browsers do not tell: the run's own limit, kept for the next visit. */
function GpuMemory({ form }: { form: JobForm }) {
  const limit = form.value("memory_limit_gb");
  return (
    <label class="inline" for="gpu-memory">
      <small>GPU memory</small>
      <input
        id="gpu-memory"
        class="short"
        type="number"
        min="0.1"
        step="any"
        inputMode="decimal"
        placeholder="?"
        value={typeof limit === "number" ? limit : ""}
        onChange={({ currentTarget }) => {
          const given = currentTarget.valueAsNumber;
          setGpuMemory(form, given > 0 ? given : null);
        }}
      />
      <small>GB</small>
    </label>
  );
}

/** The plan's memory as one bar of parts; of a limit, what is free ends it. */
function Bar({ plan, limitBytes }: { plan: JobPlan; limitBytes: number | null }) {
  const { memory } = plan.summary, total = sum(memory), whole = Math.max(total, limitBytes ?? total);
  return (
    <div class="memory" aria-hidden="true">
      {memory.map(({ what, bytes }, i) => (
        <i key={what} class={`part${i % 6}`} style={{ flexGrow: bytes / whole }} />
      ))}
      {whole > total && <i class="free" style={{ flexGrow: (whole - total) / whole }} />}
    </div>
  );
}

function Fit({ form, plan }: { form: JobForm; plan: JobPlan }) {
  const { memory } = plan.summary, total = sum(memory), limit = form.value("memory_limit_gb");
  const limitBytes = typeof limit === "number" ? limit * 1e9 : null;
  const smaller = form.quantization === "none"
    ? plan.quantizations.find((one) => one.quantization === "4bit")
    : null;
  return (
    <>
      <p id="fit">
        {limitBytes === null
          ? <>Needs {byteSize(total)} of GPU memory. Browsers do not tell how much there is:</>
          : (
            <>
              <strong>Fits.</strong> Needs {byteSize(total)}, {share(total / limitBytes)} of the GPU's memory.
            </>
          )}
      </p>
      <GpuMemory form={form} />
      <Bar plan={plan} limitBytes={limitBytes} />
      <details>
        <summary>By use</summary>
        <MemoryRows memory={memory} tight />
      </details>
      {smaller && smaller.totalBytes < total && (
        <small>With the base in 4 bits it would need {byteSize(smaller.totalBytes)}.</small>
      )}
    </>
  );
}

export function MemoryVerdict({ form, plan }: { form: JobForm; plan: Asked<JobPlan> | null }) {
  if (plan?.value) {
    return (
      <div id="memory" aria-busy={plan.waiting}>
        <Fit form={form} plan={plan.value} />
      </div>
    );
  }
  if (plan?.problem?.name === "GpuMemoryError") {
    return (
      <div id="memory">
        <p id="fit" class="wrong">
          <strong>Will not fit.</strong> {plan.problem.message}
        </p>
        <GpuMemory form={form} />
      </div>
    );
  }
  return plan?.waiting ? <p class="soft" role="status">Planning the run.</p> : null;
}

function sum(memory: JobPlan["summary"]["memory"]): number {
  return memory.reduce((total, { bytes }) => total + bytes, 0);
}

function share(part: number): string {
  return part < 0.01 ? "under 1 %" : `${Math.round(100 * part)} %`;
}
