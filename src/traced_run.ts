/**
 * The events of a run as spans and metrics of OpenTelemetry. They go to whatever provider the program has set up; Deno's
 * is built in and set up by `OTEL_DENO=true`. Without a provider nothing happens.
 *
 * @module
 */
import { metrics, ROOT_CONTEXT, type Span, SpanStatusCode, trace } from "@opentelemetry/api";
import type { JobConfig } from "./config.ts";
import type { TrainingEvent } from "./job.ts";
import { redacted } from "./redact.ts";
import { RunStages, type StageSpan } from "./run_stages.ts";
import { VERSION } from "./version.ts";

/** Upper bounds of the histograms, seconds. */
const STEP_SECONDS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100];
const STAGE_SECONDS = [0.1, 1, 10, 60, 600, 3600, 6 * 3600, 24 * 3600];

type StepEvent = Extract<TrainingEvent, { type: "step" }>;
type Summary = Extract<TrainingEvent, { type: "started" }>["summary"];

/**
 * The same events. A span `lowrank.job` has one child for each stage; an error is set on both.
 *
 * @param job Named in the attributes of the spans.
 * @param signal Tells a job that was cancelled from one that failed.
 */
export async function* tracedEvents(
  events: AsyncIterable<TrainingEvent>,
  job: Pick<JobConfig, "id" | "outputModelName" | "baseModel">,
  signal?: AbortSignal,
): AsyncGenerator<TrainingEvent> {
  const traced = new TracedRun(job);
  let problem: string | null = "cancelled"; // what stands when nobody asks for events any more
  try {
    for await (const event of events) {
      traced.add(event);
      yield event;
    }
    problem = signal?.aborted ? "cancelled" : null;
  } catch (error) {
    problem = signal?.aborted ? "cancelled" : error instanceof Error ? error.message : String(error);
    throw error;
  } finally {
    traced.end(problem);
  }
}

class TracedRun {
  readonly #tracer = trace.getTracer("lowrank", VERSION);
  readonly #gauges = new Gauges();
  readonly #stages = new RunStages();
  readonly #job: Span;
  #step = 0;
  #tokens = 0;

  constructor({ id, outputModelName, baseModel }: Pick<JobConfig, "id" | "outputModelName" | "baseModel">) {
    this.#job = this.#tracer.startSpan("lowrank.job", {
      attributes: {
        ...(id === null ? {} : { "lowrank.job.id": redacted(id) }),
        "lowrank.output_model_name": redacted(outputModelName),
        "lowrank.base_model": redacted(baseModel),
      },
    }, ROOT_CONTEXT);
  }

  add(event: TrainingEvent): void {
    this.#ended(this.#stages.add(event), null);
    if (event.type === "started") this.#started(event.summary);
    else if (event.type === "step") this.#stepped(event);
    else if (event.type === "resumed" || event.type === "checkpointed") {
      if (event.type === "resumed") this.#step = event.step;
      this.#job.addEvent(event.type, { step: event.step });
    } else if (event.type === "evaluated") this.#gauges.evalLoss.record(event.evalLoss);
    else if (event.type === "device_lost") {
      this.#step = event.step;
      this.#tokens = 0;
      this.#job.addEvent("device_lost", { step: event.step, message: redacted(event.message) });
    } else if (event.type === "warning") {
      this.#job.addEvent("warning", { message: redacted(event.message) });
    }
  }

  end(problem: string | null): void {
    const message = problem === null ? null : redacted(problem);
    this.#ended(this.#stages.end(), message);
    if (message !== null) this.#job.setStatus({ code: SpanStatusCode.ERROR, message });
    this.#job.end();
  }

  #ended(span: StageSpan | null, problem: string | null): void {
    if (span === null) return;
    const { stage, startedAt, endedAt } = span;
    const of = this.#tracer.startSpan(
      stage,
      { startTime: startedAt },
      trace.setSpan(ROOT_CONTEXT, this.#job),
    );
    if (problem !== null) of.setStatus({ code: SpanStatusCode.ERROR, message: problem });
    of.end(endedAt);
    this.#gauges.stageSeconds.record((endedAt - startedAt) / 1000, { stage });
  }

  #started({ adapter, modelType, totalSteps, trainableParameters, memory }: Summary): void {
    this.#job.setAttributes({
      "lowrank.adapter": adapter,
      "lowrank.model_type": modelType,
      "lowrank.total_steps": totalSteps,
      "lowrank.trainable_parameters": trainableParameters,
    });
    for (const { what, bytes } of memory) this.#gauges.gpuBytes.record(bytes, { what });
  }

  #stepped({ step, loss, learningRate, gradNorm, tokens, tokensPerSecond }: StepEvent): void {
    const gauges = this.#gauges, done = tokens - this.#tokens, steps = step - this.#step;
    gauges.loss.record(loss);
    gauges.learningRate.record(learningRate);
    gauges.gradNorm.record(gradNorm);
    gauges.tokensPerSecond.record(tokensPerSecond);
    if (this.#tokens > 0 || this.#step === 0) { // after going on, the tokens of before are not known
      gauges.tokens.add(done);
      if (tokensPerSecond > 0 && steps > 0) gauges.stepSeconds.record(done / tokensPerSecond / steps);
    }
    this.#step = step;
    this.#tokens = tokens;
  }
}

/** The instruments, by what they measure. */
class Gauges {
  readonly #meter = metrics.getMeter("lowrank", VERSION);
  readonly loss = this.#meter.createGauge("lowrank.train.loss", {
    description: "Mean cross-entropy per trained token since the last report, nats",
  });
  readonly evalLoss = this.#meter.createGauge("lowrank.eval.loss", {
    description: "Mean cross-entropy per labelled token of the evaluation rows, nats",
  });
  readonly learningRate = this.#meter.createGauge("lowrank.train.learning_rate", {
    description: "Learning rate of the last step",
  });
  readonly gradNorm = this.#meter.createGauge("lowrank.train.grad_norm", {
    description: "L2 norm over all gradients before clipping",
  });
  readonly tokensPerSecond = this.#meter.createGauge("lowrank.train.tokens_per_second", {
    description: "Tokens per second since the last report, padding left out",
    unit: "{token}/s",
  });
  readonly tokens = this.#meter.createCounter("lowrank.train.tokens", {
    description: "Tokens trained on, padding left out",
    unit: "{token}",
  });
  readonly gpuBytes = this.#meter.createGauge("lowrank.gpu.memory", {
    description: "Memory that the run takes on the device, by what it is for",
    unit: "By",
  });
  readonly stepSeconds = this.#meter.createHistogram("lowrank.train.step.duration", {
    description: "Optimizer step, mean since the last report",
    unit: "s",
    advice: { explicitBucketBoundaries: STEP_SECONDS },
  });
  readonly stageSeconds = this.#meter.createHistogram("lowrank.stage.duration", {
    description: "Stage of a job",
    unit: "s",
    advice: { explicitBucketBoundaries: STAGE_SECONDS },
  });
}
