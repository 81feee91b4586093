/** Every setting: its type, limits and default. */
import { availableParallelism } from "node:os";
import { limits } from "@ksi/contract";
import { configuredProfiles } from "@ksi/core";
import { z } from "zod";

export const configSchema = z.object({
  /** Token, daemon.json, Redis' data and logs. Default `~/.ksi`. */
  data_dir: text(),
  /** Where the doors listen. Anything but loopback needs `insecure_bind`. */
  host: text().default("127.0.0.1"),
  /** 0 takes any free port; daemon.json says which. */
  port: integer(0, 65_535).default(8000),
  /** Allows a host that other machines can reach, without TLS. */
  insecure_bind: toggle().default(false),
  /** Names beside `host` and localhost under which the daemon may be called, such as that of a reverse proxy. */
  allowed_hosts: list().default([]),
  /** Origins of web pages that may call the daemon, such as `https://console.example.com`. */
  allowed_origins: list(
    z.string().regex(/^https?:\/\/[^/\s]+$/, "must be an origin such as http://localhost:5173"),
  ).default([]),
  /** Takes the place of the one in `{data_dir}/token`. */
  token: text()
    .regex(/^[!-~]{16,}$/, "must be 16 or more letters, digits and signs without a space, as it travels in a header")
    .optional(),

  /** `redis://`, `rediss://` or `unix://`; without it the daemon starts a Redis of its own. */
  redis_url: text().optional(),
  /** The redis-server or valkey-server to start. */
  redis_binary: text().optional(),
  /** What every key begins with, so that several daemons can share a Redis. */
  redis_prefix: z
    .string()
    .regex(/^[^{}\s]+$/, "must not be empty or contain braces or spaces")
    .default("ksi"),
  /** Events kept per channel, and for how long. */
  history_max_events: integer(1, 10_000_000).default(100_000),
  history_max_age_ms: integer(1_000, Number.MAX_SAFE_INTEGER).default(30 * 24 * 3_600_000),

  /** Whether this process executes runs itself; without it, `ksi worker` processes do. */
  worker: toggle().default(true),
  max_concurrent_runs: integer(1, 1_000).default(Math.max(4, availableParallelism())),
  /** Without it: `sonnet` where claude is found, else `echo`. */
  default_model: text().max(200).optional(),
  /** A path, or a name that is looked up on PATH. */
  claude_bin: text().default("claude"),
  /** Folders inside which a run's `cwd` must be. Default: where the daemon was started. */
  roots: list(),
  /** What agents may use without asking. A caller can narrow this, and never widen it. */
  tools: list().default([
    ...["Task", "Bash", "Glob", "Grep", "LS", "Read", "Edit", "MultiEdit", "Write", "WebFetch", "WebSearch"],
  ]),
  /** Presets for runs, by name, beside those that ship and those in `{data_dir}/profiles`. */
  profiles: configuredProfiles.default({}),
  /** Names of environment variables that agents get beside the built-in ones. */
  pass_env: list(
    z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*\*?$/, "must be the name of a variable, or a prefix and *"),
  ).default([]),
  /** Time limit of runs that name none. */
  run_timeout_ms: integer(1, limits.runTimeoutMsMax).default(limits.runTimeoutMsDefault),
  /** How long a stopping daemon waits for what is running. */
  drain_timeout_ms: integer(0, 3_600_000).default(30_000),

  /** An agent that gives no sign of life for so long is offline. */
  agent_offline_after_ms: integer(1_000, 86_400_000).default(30_000),
  /** Messages that one inbox holds without their being acknowledged. */
  inbox_max_messages: integer(1, 10_000_000).default(10_000),
  /** How often a message is delivered that nobody acknowledges, before it is a dead letter. */
  message_max_deliveries: integer(1, 1_000_000).default(10),
  /** How long a consumer of a shared inbox may take to acknowledge a message. */
  message_ack_timeout_ms: integer(1_000, 86_400_000).default(600_000),
  /** Through how many hands a message may pass. */
  message_max_hops: integer(1, 1_000_000).default(32),
  /** Messages that two agents may send each other; 0 is no limit. */
  messages_per_minute: integer(0, 10_000_000).default(6_000),

  /** Of all HTTP requests with the token, as a burst or spread over the minute; 0 is no limit. */
  requests_per_minute: integer(0, 10_000_000).default(60_000),
  /** How long a request to the OpenAI routes may wait for its run. */
  wait_max_ms: integer(1_000, limits.runTimeoutMsMax).default(600_000),
  /** Bytes of one HTTP body or WebSocket frame. */
  body_max_bytes: integer(1_024, 1_073_741_824).default(limits.bodyBytes),
  log_level: z.enum(["debug", "info", "warn", "error", "silent"]).default("info"),
  /** Adds the cause to error answers. Not for a daemon that others use. */
  debug: toggle().default(false),
});

/** The settings whose values are paths. */
export const pathKeys = ["data_dir", "redis_binary", "claude_bin", "roots"] as const;

function text() {
  return z.string().trim().min(1, "must not be empty");
}

/** Accepts what a flag or variable can hold (`"8000"`) as well as what YAML holds (`8000`). */
function integer(min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max}`;
  const digits = (value: unknown) => (typeof value === "string" && /^\d{1,16}$/.test(value) ? Number(value) : value);
  return z.preprocess(digits, z.int(message).min(min, message).max(max, message));
}

function toggle() {
  const message = "must be true or false";
  return z.union([z.boolean(message), z.stringbool(message)], message);
}

function list(item: z.ZodString = text()) {
  const split = (value: unknown) =>
    typeof value === "string"
      ? value
          .split(",")
          .map((part) => part.trim())
          .filter(Boolean)
      : value;
  return z.preprocess(split, z.array(item, "must be a list").max(1_000));
}
