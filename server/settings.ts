/**
 * What the operator decides about the server.
 *
 * @module
 */

/** Settings of the app; the command line fills them. */
export interface ServerSettings {
  /** Whether requests without a token may do everything: only where the server is bound to loopback and has no tokens. */
  readonly anonymous: boolean;
  /** Origins of pages on other hosts that may use the server, such as `https://tune.example.com`. */
  readonly allowedOrigins: readonly string[];
  /** Largest file, bytes. */
  readonly maxFileBytes: number;
  /**
   * Largest file of a request without a Content-Length, bytes: Deno reads its chunks ahead of whoever takes them, into
   * memory.
   */
  readonly maxUntoldBytes: number;
  /** Largest body of other requests, bytes. */
  readonly maxBodyBytes: number;
  /** Longest pause of a body, after which it is given up. */
  readonly bodyIdleMs: number;
  /** Requests a second of one caller, over a longer time; twice as many at once. */
  readonly requestsPerSecond: number;
  /** Streams of events open at a time, of all callers. */
  readonly maxEventStreams: number;
  /** Of those, the most of one caller. */
  readonly maxCallerStreams: number;
  /** Jobs that may wait in line. */
  readonly maxQueuedJobs: number;
  /** Requests for text at a time: one is answered, the others wait. */
  readonly maxGenerations: number;
  /** Without a request for text, after which its model gives the memory back. */
  readonly generationIdleMs: number;
  /** Between two signs of life of an idle stream of events. */
  readonly heartbeatMs: number;
}

export const DEFAULT_SETTINGS: ServerSettings = {
  anonymous: false,
  allowedOrigins: [],
  maxFileBytes: 4 * 2 ** 30,
  maxUntoldBytes: 100e6,
  maxBodyBytes: 2 ** 20,
  bodyIdleMs: 60_000,
  requestsPerSecond: 100,
  maxEventStreams: 1000,
  maxCallerStreams: 250,
  maxQueuedJobs: 1000,
  maxGenerations: 32,
  generationIdleMs: 300_000,
  heartbeatMs: 15_000,
};
