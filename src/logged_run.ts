/**
 * The events of a run, logged as they pass. Nothing is logged where the run computes: its step loop is not slowed.
 *
 * @module
 */
import type { TrainingEvent } from "./job.ts";
import { logger } from "./logger.ts";
import { RunStages, type StageSpan } from "./run_stages.ts";

/**
 * The same events. Stages and their durations, decisions, memory plan, steps, files and the end of the run are told to
 * the loggers `lowrank.job`, `.gpu` and `.train`.
 *
 * @param now Milliseconds since 1970.
 */
export async function* loggedEvents(
  events: AsyncIterable<TrainingEvent>,
  now: () => number = Date.now,
): AsyncGenerator<TrainingEvent> {
  const stages = new RunStages(now);
  try {
    for await (const event of events) {
      logStage(stages.add(event));
      logEvent(event);
      yield event;
    }
  } catch (error) {
    const stage = stages.current, problem = error instanceof Error ? error.message : String(error);
    logStage(stages.end());
    logger("job").error("failed in stage {stage}: {problem}", { stage, problem, error });
    throw error;
  } finally {
    logStage(stages.end());
  }
}

function logStage(span: StageSpan | null): void {
  if (span === null) return;
  const seconds = (span.endedAt - span.startedAt) / 1000;
  logger("job").info("stage {stage} took {seconds} s", { stage: span.stage, seconds });
}

function logEvent(event: TrainingEvent): void {
  switch (event.type) {
    case "phase":
      return logger("job").debug("phase: {phase}", { phase: event.message });
    case "warning":
      return logger("job").warn("{warning}", { warning: event.message });
    case "started":
      return logSummary(event.summary);
    case "estimated":
      return logger("job").info("{steps} steps would take {seconds} s", { ...event });
    case "step": {
      const { type: _, ...facts } = event;
      return logger("train").debug(
        "step {step} of {totalSteps}: loss {loss}, {tokensPerSecond} tokens/s",
        facts,
      );
    }
    case "evaluated": {
      const { type: _, ...facts } = event;
      return logger("train").info("evaluation at step {step}: loss {evalLoss}", facts);
    }
    case "checkpointed":
    case "resumed":
      return logger("train").info("{what} at step {step}: {path}", {
        what: event.type,
        step: event.step,
        path: event.path,
      });
    case "device_lost": {
      const { message: problem, step, recovery } = event;
      return logger("gpu").warn("{problem}; going on from step {step}, recovery {recovery}", {
        problem,
        step,
        recovery,
      });
    }
    case "transfer":
      if (event.files < event.totalFiles) return;
      return logger("storage").info("{direction} of {what}: {files} files, {bytes} bytes", { ...event });
    case "saved":
      return logger("job").info("{what} saved to {path}", { what: event.what, path: event.path });
    case "finished":
      return logger("job").info("finished after {steps} steps in {seconds} s", { ...event });
  }
}

function logSummary({ choices, memory, ...facts }: Extract<TrainingEvent, { type: "started" }>["summary"]) {
  logger("job").info("{totalSteps} steps of {baseModel} ({modelType}) on {adapter}", facts);
  for (const choice of choices) logger("gpu").info("chosen: {choice}", { choice });
  for (const { what, bytes } of memory) {
    logger("gpu").debug("memory plan: {what} {bytes} bytes", { what, bytes });
  }
}
