/** What calls look like. A test holds each against its schema. */
import type { Agent, KsiEvent, Message, Run, RunEvent, Session, SystemStatus } from "@ksi/contract";
import type { OperationExamples } from "../document/document.ts";

const run_id = "0b6f7c4e-5d1a-4f0e-9a57-2f1c8f3f6c10";
const session_id = "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b";
const accepted = "2026-11-21T10:00:00.000Z";
const ended = "2026-11-21T10:00:04.120Z";

/** What a run has, however it ended. */
const ran: Run = {
  run_id,
  session_id,
  status: "completed",
  model: "sonnet",
  runner: "claude",
  priority: 50,
  timeout_ms: 300_000,
  created_at: accepted,
  started_at: "2026-11-21T10:00:00.031Z",
  ended_at: ended,
};

const run: Run = {
  ...ran,
  result: "2 + 2 is 4.",
  usage: { input_tokens: 12, output_tokens: 9, cache_read_input_tokens: 14_870 },
  cost_usd: 0.0061,
  duration_ms: 4_089,
  num_turns: 1,
  stop_reason: "end_turn",
};

const failed: Run = {
  ...ran,
  status: "failed",
  error: { code: "MODEL_AUTH", message: "The provider refused the agent's credentials. Log in with `claude`." },
  duration_ms: 4_089,
};

const session: Session = {
  session_id,
  created_at: accepted,
  updated_at: accepted,
  run_count: 1,
  last_run_id: run_id,
  last_status: "completed",
};

const agent: Agent = {
  agent_id: "planner",
  profile: "planning",
  capabilities: ["plan", "review"],
  status: "online",
  last_seen: accepted,
  registered_at: accepted,
  updated_at: accepted,
};

const message: Message = {
  id: "5a2c1f0e-7b3d-4c8e-a1f2-9d0e6b4c3a21",
  source: "user",
  target: "planner",
  event_type: "DIRECT_MESSAGE",
  payload: { content: "Plan the release." },
  timestamp: accepted,
};

const text: RunEvent = {
  id: "9e1d2c3b-4a5f-4e6d-8c7b-0a1b2c3d4e5f",
  source: "ksi",
  timestamp: "2026-11-21T10:00:02.500Z",
  run_id,
  session_id,
  event_type: "run.text",
  payload: { text: "2 + 2 is" },
};

const joined: KsiEvent = {
  id: "1c2b3a4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d",
  source: "planner",
  timestamp: accepted,
  agent_id: "planner",
  event_type: "agent.joined",
  payload: agent,
};

const published: KsiEvent = {
  id: "7d6c5b4a-3f2e-4d1c-8b9a-6f5e4d3c2b1a",
  source: "ci",
  timestamp: accepted,
  event_type: "x.build.finished",
  payload: { commit: "4295206", passed: true },
};

const status: SystemStatus = {
  status: "healthy",
  version: "0.1.0",
  uptime_ms: 86_400_000,
  default_model: "sonnet",
  runners: [
    { name: "claude", available: true, models: ["sonnet", "opus", "haiku"], version: "2.1.0" },
    { name: "echo", available: true, models: ["echo"] },
  ],
  agents: 1,
  active_processes: 1,
  queued: 0,
  redis_info: { mode: "embedded", version: "7.0.15", used_memory_bytes: 1_843_200, connected_clients: 4 },
};

const answer = (name: string, value: unknown) => ({ answers: { 200: { [name]: { value } } } });

/** By procedure. */
export const examples: Readonly<Record<string, OperationExamples>> = {
  "runs.spawn": {
    request: {
      question: { summary: "A question in a new session", value: { prompt: "What is 2+2?" } },
      continued: {
        summary: "The next turn of a session, with what narrows it",
        value: {
          prompt: "And twice that?",
          session_id,
          model: "sonnet",
          tools: ["Read", "Grep"],
          timeout_ms: 60_000,
          idempotency_key: "order-4711-turn-2",
        },
      },
      structured: {
        summary: "An answer as JSON",
        value: {
          prompt: "Name three primes.",
          output_schema: {
            type: "object",
            properties: { primes: { type: "array", items: { type: "integer" } } },
            required: ["primes"],
          },
        },
      },
    },
    ...answer("accepted", { status: "accepted", run_id, session_id, message: "Accepted." }),
  },
  "runs.get": { answers: { 200: { completed: { value: run }, failed: { value: failed } } } },
  "runs.list": answer("page", { runs: [run] }),
  "runs.result": answer("completed", run),
  "runs.cancel": {
    request: {
      reason: { summary: "With a reason, which is kept with the run", value: { reason: "Not needed any more." } },
    },
    ...answer("cancelled", { run_id, status: "running", cancelled: true }),
  },
  "runs.events": answer("text", text),
  "sessions.list": answer("page", { sessions: [session] }),
  "sessions.get": answer("session", session),
  "sessions.messages": answer("turn", {
    messages: [
      { run_id, role: "human", content: "What is 2+2?", timestamp: accepted },
      { run_id, role: "agent", content: "2 + 2 is 4.", timestamp: ended },
    ],
  }),
  "sessions.delete": answer("deleted", { status: "deleted", session_id }),
  "agents.register": {
    request: {
      agent: { value: { agent_id: "planner", profile: "planning", capabilities: ["plan", "review"] } },
    },
    ...answer("registered", { status: "registered", agent }),
  },
  "agents.get": answer("agent", agent),
  "agents.list": answer("page", { agents: [agent] }),
  "agents.unregister": answer("unregistered", { status: "unregistered", agent_id: "planner" }),
  "messages.send": {
    request: {
      direct: {
        summary: "To one agent",
        value: {
          source: "user",
          target: "planner",
          event_type: "DIRECT_MESSAGE",
          payload: { content: "Plan the release." },
        },
      },
      broadcast: {
        summary: "To all agents",
        value: { source: "planner", event_type: "BROADCAST", payload: { content: "The plan is ready." } },
      },
    },
    ...answer("sent", { status: "sent", id: message.id, recipients: 1 }),
  },
  "messages.history": answer("page", { messages: [message], next: "1795255200000.17" }),
  "messages.inbox": answer("message", message),
  "events.subscribe": { answers: { 200: { joined: { value: joined }, published: { value: published } } } },
  "events.publish": {
    request: {
      build: { value: { source: "ci", event_type: "x.build.finished", payload: { commit: "4295206", passed: true } } },
    },
    ...answer("published", { status: "published", id: published.id }),
  },
  "system.status": answer("healthy", status),
  "system.shutdown": answer("shutting_down", { status: "shutting_down" }),
};
