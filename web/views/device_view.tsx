/**
 * The adapter (GPU): what it is, may and does.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { ViewProps } from "../app.tsx";
import { byteSize, count } from "../figures.ts";
import type { DeviceFacts } from "../protocol/device.ts";
import { type PlainError, plainError } from "../protocol/plain_error.ts";
import { Problem } from "./problem.tsx";

function limitText(name: string, value: number): string {
  return /Size$/.test(name) ? byteSize(value) : count(value);
}

function rateText({ size, gigaflops }: NonNullable<DeviceFacts["matmul"]>): string {
  const rate = gigaflops >= 1000
    ? `${(gigaflops / 1000).toPrecision(3)} TFLOP/s`
    : `${gigaflops.toPrecision(3)} GFLOP/s`;
  return `${rate}, f32, ${size} × ${size}, checked before it was timed`;
}

function Facts({ facts: { name, software, features, limits, matmul } }: { facts: DeviceFacts }) {
  const rows: [string, string][] = [
    ["Adapter", software ? `${name} (software: it computes on the CPU)` : name],
    ["Matrix product", matmul ? rateText(matmul) : "not measured yet"],
    ["Optional features", features.length === 0 ? "none" : features.join(", ")],
    ...Object.entries(limits).map(([limit, value]): [string, string] => [limit, limitText(limit, value)]),
  ];
  return (
    <dl id="device-facts" class="pairs">
      {rows.map(([term, value]) => (
        <div key={term}>
          <dt>{term}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function DeviceView({ session }: ViewProps) {
  const { engine, busy } = session;
  const facts = useSignal<DeviceFacts | null>(null);
  const problem = useSignal<PlainError | null>(null);
  const measuring = useSignal(false);
  const look = async (measure: boolean) => {
    measuring.value = measure;
    problem.value = null;
    try {
      facts.value = await engine.ask("device", { measure });
    } catch (error) {
      problem.value = plainError(error);
    } finally {
      measuring.value = false;
    }
  };
  const { isAble } = session;
  useEffect(() => {
    if (isAble && facts.value === null) void look(false);
  }, [isAble]);
  return (
    <section class="card" aria-labelledby="device-title">
      <h1 id="device-title">Device</h1>
      <p class="soft">
        What WebGPU offers here, and how fast the engine multiplies matrices with it.
        {busy.value && " While a run goes on, its speed is not measured."}
      </p>
      {facts.value && <Facts facts={facts.value} />}
      {problem.value && <Problem title="The adapter cannot be used" problem={problem.value} />}
      <div class="actions">
        <button
          id="measure"
          type="button"
          disabled={!isAble || measuring.value}
          onClick={() => void look(true)}
        >
          {measuring.value ? "Measuring …" : facts.value?.matmul ? "Measure again" : "Measure its speed"}
        </button>
      </div>
    </section>
  );
}
