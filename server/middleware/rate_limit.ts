/**
 * So many requests a second of one caller: a bucket that fills at that rate and holds two seconds' worth.
 *
 * @module
 */
import { createMiddleware } from "hono/factory";
import type { ServerEnv } from "../env.ts";
import { ApiError } from "../errors.ts";
import { callerKey } from "./authentication.ts";

interface Bucket {
  left: number;
  at: number;
}

/** Callers that are remembered; the ones not seen for longest are forgotten first. */
const MOST_BUCKETS = 10_000;

/** Refuses a caller, known by token or else by address, that sends more. */
export function rateLimit(perSecond: number, now: () => number = Date.now) {
  const buckets = new Map<string, Bucket>(), capacity = 2 * perSecond;
  return createMiddleware<ServerEnv>(async (c, next) => {
    const key = callerKey(c), time = now();
    const bucket = buckets.get(key) ?? { left: capacity, at: time };
    bucket.left = Math.min(capacity, bucket.left + Math.max(0, time - bucket.at) * perSecond / 1000);
    bucket.at = time;
    buckets.delete(key); // the order of a Map is that of insertion
    buckets.set(key, bucket);
    if (buckets.size > MOST_BUCKETS) buckets.delete(buckets.keys().next().value!);
    if (bucket.left < 1) {
      const retryAfter = Math.ceil((1 - bucket.left) / perSecond);
      const message = `Rate limit reached: ${perSecond} requests a second. Try again in ${retryAfter} s.`;
      throw new ApiError(429, message, { code: "rate_limit_exceeded", retryAfter });
    }
    bucket.left--;
    await next();
  });
}
