/**
 * Which routes there are: one line each. A new group is a file in `routes/` and a line here.
 *
 * @module
 */
import type { Hono } from "hono";
import type { ServerEnv } from "./env.ts";
import { EventResponses, type StreamLimits } from "./server_sent_events.ts";
import { type CompletionRouteDeps, completionRoutes } from "./routes/completions.ts";
import { type FileRouteDeps, fileRoutes } from "./routes/files.ts";
import { type HealthDeps, healthRoutes } from "./routes/health.ts";
import { type JobRecordRouteDeps, jobRecordRoutes } from "./routes/job_records.ts";
import { type JobRouteDeps, jobRoutes } from "./routes/jobs.ts";
import { type MetricsRouteDeps, metricsRoutes } from "./routes/metrics.ts";
import { type ModelFileRouteDeps, modelFileRoutes } from "./routes/model_files.ts";
import { type ModelRouteDeps, modelRoutes } from "./routes/models.ts";
import { type OpenApiDeps, openApiRoutes } from "./routes/openapi.ts";
import { type PageRouteDeps, pageRoutes } from "./routes/page.ts";
import { type RunFileRouteDeps, runFileRoutes } from "./routes/run_files.ts";
import { type StorageRouteDeps, storageRoutes } from "./routes/storage.ts";
import { type UploadRouteDeps, uploadRoutes } from "./routes/uploads.ts";

/** What all routes need together. */
export type RouteDeps =
  & FileRouteDeps
  & Omit<JobRouteDeps & JobRecordRouteDeps, "streams">
  & { readonly settings: StreamLimits }
  & StorageRouteDeps
  & UploadRouteDeps
  & ModelRouteDeps
  & ModelFileRouteDeps
  & CompletionRouteDeps
  & HealthDeps
  & MetricsRouteDeps
  & OpenApiDeps
  & RunFileRouteDeps
  & PageRouteDeps;

/** Puts every group of routes in its place. */
export function mountRoutes(app: Hono<ServerEnv>, deps: RouteDeps): void {
  const streams = new EventResponses(deps.settings);
  app.route("/v1/files", fileRoutes(deps));
  app.route("/v1/fine_tuning/jobs", jobRoutes({ ...deps, streams }));
  app.route("/v1/models", modelRoutes(deps));
  app.route("/v1", completionRoutes(deps));
  app.route("/api/storage", storageRoutes(deps));
  app.route("/api/uploads", uploadRoutes(deps));
  app.route("/api/jobs", jobRecordRoutes({ ...deps, streams }));
  app.route("/api/models", modelFileRoutes(deps));
  app.route("/api/runs", runFileRoutes(deps));
  app.route("/", pageRoutes(deps));
  app.route("/", healthRoutes(deps));
  app.route("/", metricsRoutes(deps));
  app.route("/", openApiRoutes(app, deps));
}
