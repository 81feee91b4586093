import { z } from "zod";

export const runnerStatus = z.object({
  name: z.string(),
  available: z.boolean(),
  /** The models it lists. It may serve more names than these. */
  models: z.array(z.string()),
  version: z.string().optional(),
  /** What to do when it is not available. */
  advice: z.string().optional(),
});

export const systemStatus = z.object({
  status: z.enum(["healthy", "draining", "degraded"]),
  version: z.string(),
  uptime_ms: z.number(),
  default_model: z.string(),
  runners: z.array(runnerStatus),
  /** Registered ones. */
  agents: z.number().int(),
  /** Registered ones that are online. */
  agents_online: z.number().int(),
  /** Runs that a worker of this Redis is executing now. */
  active_processes: z.number().int(),
  queued: z.number().int(),
  redis_info: z.object({
    mode: z.enum(["embedded", "external"]),
    version: z.string(),
    used_memory_bytes: z.number(),
    connected_clients: z.number(),
  }),
});

export const health = z.object({
  /** `ok` where Redis answers and takes writes. */
  status: z.enum(["ok", "unavailable"]),
  /** Why it is unavailable, in a sentence. */
  reason: z.string().optional(),
  /** Round trip to Redis in ms; absent when it is unavailable. */
  redis_ping_ms: z.number().optional(),
  version: z.string(),
});

export const shutdownOutput = z.object({ status: z.literal("shutting_down") });

export type RunnerStatus = z.infer<typeof runnerStatus>;
export type SystemStatus = z.infer<typeof systemStatus>;
export type Health = z.infer<typeof health>;
export type ShutdownOutput = z.infer<typeof shutdownOutput>;
