/**
 * Numbers about the server, for Prometheus.
 *
 * @module
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { AccessEntry } from "./app.ts";
import { FINAL_STATUSES } from "../src/job_tracker.ts";
import { type JobStore, UNFINISHED } from "./job_store.ts";

/** A client may think up any other word, and each would be a row that is kept. */
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** Seconds; the upper ends of the classes of durations. */
const BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30];

export class ServerMetrics {
  readonly #registry = new Registry();
  readonly #requests: Counter<"method" | "status">;
  readonly #durations: Histogram<"method">;

  constructor(jobs: JobStore) {
    const registers = [this.#registry];
    this.#requests = new Counter({
      name: "lowrank_http_requests_total",
      help: "Requests answered",
      labelNames: ["method", "status"],
      registers,
    });
    this.#durations = new Histogram({
      name: "lowrank_http_request_duration_seconds",
      help: "Until the response began",
      labelNames: ["method"],
      buckets: BUCKETS,
      registers,
    });
    new Gauge({
      name: "lowrank_jobs",
      help: "Fine-tuning jobs by state",
      labelNames: ["status"],
      registers,
      collect() {
        const counts = jobs.counts(); // of states without jobs too: series that come and go are hard to watch
        for (const status of [...UNFINISHED, ...FINAL_STATUSES]) this.set({ status }, counts[status] ?? 0);
      },
    });
    new Gauge({
      name: "process_resident_memory_bytes",
      help: "Resident memory of the server",
      registers,
      collect() {
        this.set(Deno.memoryUsage().rss);
      },
    });
  }

  observe({ method: sent, status, ms }: AccessEntry): void {
    const method = METHODS.has(sent) ? sent : "other";
    this.#requests.inc({ method, status });
    this.#durations.observe({ method }, ms / 1000);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
