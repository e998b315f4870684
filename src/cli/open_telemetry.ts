/**
 * OpenTelemetry where Deno's is switched on (`OTEL_DENO=true`); nothing is loaded otherwise.
 *
 * @module
 */
import type { JobConfig } from "../config.ts";
import type { TrainingEvent } from "../job.ts";

type Env = Readonly<Record<string, string>>;

/** Whether Deno exports spans and metrics: it takes no other word. */
export function isTracing(env: Env): boolean {
  return env.OTEL_DENO === "true";
}

/** The same events, told as spans and metrics where that is switched on. */
export async function withTraces(
  events: AsyncIterable<TrainingEvent>,
  env: Env,
  job: JobConfig,
  signal: AbortSignal,
): Promise<AsyncIterable<TrainingEvent>> {
  if (!isTracing(env)) return events;
  return (await import("../traced_run.ts")).tracedEvents(events, job, signal);
}

/**
 * Does work in a context that says not to record. Deno makes a span of every request, with its whole URL, which may be
 * signed or hold a token; with `OTEL_TRACES_SAMPLER=parentbased_always_on` it makes none in here.
 */
export async function withoutRequestSpans<T>(env: Env, work: () => Promise<T>): Promise<T> {
  if (!isTracing(env)) return await work();
  const { context, ROOT_CONTEXT, trace, TraceFlags } = await import("@opentelemetry/api");
  const unrecorded = {
    traceId: crypto.randomUUID().replaceAll("-", ""),
    spanId: crypto.randomUUID().replaceAll("-", "").slice(0, 16),
    traceFlags: TraceFlags.NONE,
  };
  return await context.with(trace.setSpanContext(ROOT_CONTEXT, unrecorded), work);
}
