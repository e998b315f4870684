/**
 * Takes what OpenTelemetry exports as JSON over HTTP.
 *
 * @module
 */

/** A span, as far as tests look at it. */
export interface ReceivedSpan {
  readonly name: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status?: { readonly code?: number; readonly message?: string };
  readonly attributes: readonly { readonly key: string }[];
}

export class OtlpReceiver {
  /** Everything received, as text. */
  text = "";
  readonly spans: ReceivedSpan[] = [];
  /** Names of metrics, each with its points of the last export. */
  readonly metrics = new Map<string, unknown>();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    this.#server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
      const body = await request.text();
      this.text += body;
      if (request.url.endsWith("/v1/traces")) this.#takeSpans(body);
      if (request.url.endsWith("/v1/metrics")) this.#takeMetrics(body);
      return new Response("{}", { headers: { "content-type": "application/json" } });
    });
  }

  /** Variables that send a process's telemetry here. */
  get env(): Record<string, string> {
    return {
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${this.#server.addr.port}`,
    };
  }

  close(): Promise<void> {
    return this.#server.shutdown();
  }

  #takeSpans(body: string): void {
    for (const { scopeSpans } of JSON.parse(body).resourceSpans) {
      for (const { spans } of scopeSpans) this.spans.push(...spans);
    }
  }

  #takeMetrics(body: string): void {
    for (const { scopeMetrics } of JSON.parse(body).resourceMetrics) {
      for (const { metrics } of scopeMetrics) {
        for (const { name, ...points } of metrics) this.metrics.set(name, points);
      }
    }
  }
}
