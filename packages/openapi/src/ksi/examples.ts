/** What calls look like. A test holds each against its schema. */
import type {
  Agent,
  DeadLetter,
  KsiEvent,
  Message,
  Profile,
  Run,
  RunEvent,
  Session,
  StateEntry,
  SystemStatus,
} from "@ksi/contract";
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
  capabilities: ["plan", "estimate"],
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

const correlation_id = "review-4711";

const question: Message = {
  id: "c7d8e9f0-1a2b-4c3d-8e4f-5a6b7c8d9e0f",
  source: "planner",
  target: "critic",
  capability: ["review"],
  event_type: "REVIEW",
  payload: { plan: "Release on Friday." },
  correlation_id,
  expires_at: "2026-11-21T10:10:00.000Z",
  timestamp: accepted,
};

const reply: Message = {
  id: "0f1e2d3c-4b5a-4968-8776-655443322110",
  source: "critic",
  target: "planner",
  event_type: "REVIEWED",
  payload: { verdict: "Not on a Friday." },
  correlation_id,
  hops: 1,
  timestamp: ended,
};

const dead: DeadLetter = { message, reason: "max_deliveries", deliveries: 10, died_at: ended };

const profile: Profile = {
  name: "critic",
  description: "Finds what is wrong with a plan.",
  model: "sonnet",
  system_prompt: "You review plans. Name each weakness in a sentence.",
  capabilities: ["review"],
  origin: "file",
};

const entry: StateEntry = {
  namespace: "plans",
  key: "release/1.0",
  version: 3,
  updated_at: accepted,
  value: { date: "2026-11-23", approved: true },
};
const { value, ...facts } = entry;

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

const acked: KsiEvent = {
  id: "2d3c4b5a-6f7e-4b8a-9d0c-1e2f3a4b5c6d",
  source: "planner",
  timestamp: ended,
  agent_id: "planner",
  target: "user",
  event_type: "message.acked",
  payload: { message_id: message.id },
};

const changed: KsiEvent = {
  id: "3e4d5c6b-7a8f-4c9b-8e1d-2f3a4b5c6d7e",
  source: "planner",
  timestamp: accepted,
  event_type: "state.set",
  payload: { namespace: entry.namespace, key: entry.key, version: entry.version },
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
  agents_online: 1,
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
      agent: { value: { agent_id: "planner", profile: "planning", capabilities: ["plan", "estimate"] } },
    },
    ...answer("registered", { status: "registered", agent }),
  },
  "agents.get": answer("agent", agent),
  "agents.list": answer("page", { agents: [agent] }),
  "agents.unregister": answer("unregistered", { status: "unregistered", agent_id: "planner" }),
  "agents.heartbeat": answer("online", { status: "online", agent_id: "planner", offline_after_ms: 30_000 }),
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
      capable: {
        summary: "To an agent that can do it, for ten minutes",
        value: {
          source: "planner",
          capability: "review",
          event_type: "REVIEW",
          payload: { plan: "Release on Friday." },
          correlation_id,
          ttl_ms: 600_000,
          idempotency_key: "review-4711-first",
        },
      },
      several: {
        summary: "To the agent that can do most of it",
        value: {
          source: "planner",
          capability: ["review", "security"],
          event_type: "REVIEW",
          payload: { plan: "Release on Friday." },
        },
      },
      broadcast: {
        summary: "To all agents",
        value: { source: "planner", event_type: "BROADCAST", payload: { content: "The plan is ready." } },
      },
    },
    answers: {
      200: {
        direct: { value: { status: "sent", id: message.id, target: "planner", recipients: 1 } },
        broadcast: { value: { status: "sent", id: message.id, recipients: 3 } },
      },
    },
  },
  "messages.request": {
    request: {
      review: {
        value: {
          source: "planner",
          capability: "review",
          event_type: "REVIEW",
          payload: { plan: "Release on Friday." },
          timeout_ms: 60_000,
        },
      },
    },
    ...answer("replied", { status: "replied", id: question.id, reply }),
  },
  "messages.history": answer("page", { messages: [message, question, reply], next: "1795255200000.17" }),
  "messages.inbox": { answers: { 200: { message: { value: message }, question: { value: question } } } },
  "messages.ack": {
    request: { done: { value: { ids: [message.id] } } },
    ...answer("acked", { status: "acked", acked: 1 }),
  },
  "messages.nack": {
    request: { later: { summary: "In a minute", value: { ids: [message.id], delay_ms: 60_000 } } },
    ...answer("nacked", { status: "nacked", nacked: 1 }),
  },
  "messages.deadLetters": answer("page", { dead_letters: [dead] }),
  "messages.sendBatch": {
    request: {
      two: {
        summary: "To two agents",
        value: {
          messages: ["planner", "critic"].map((target) => ({
            source: "user",
            target,
            event_type: "DIRECT_MESSAGE",
            payload: { content: "Stand by." },
          })),
        },
      },
    },
    ...answer("results", {
      results: [
        { status: "sent", id: message.id, target: "planner", recipients: 1 },
        { status: "refused", error: { code: "NOT_FOUND", message: "No agent is registered as critic." } },
      ],
    }),
  },
  "messages.redrive": {
    request: {
      all: { summary: "All that there are", value: {} },
      one: { summary: "Some of them", value: { ids: [message.id] } },
    },
    ...answer("redriven", { status: "redriven", redriven: 1 }),
  },
  "profiles.list": answer("profiles", {
    profiles: [profile],
    problems: [{ file: "teacher.yaml", message: "timeout_ms: must be at least 1" }],
  }),
  "profiles.get": answer("profile", profile),
  "state.get": answer("entry", entry),
  "state.set": {
    request: {
      value: { summary: "Whatever was there", value: { value } },
      changed: { summary: "Only if nobody has changed it meanwhile", value: { value, if_version: 2 } },
      created: {
        summary: "Only if it is not there, and for an hour",
        value: { value, if_version: 0, ttl_ms: 3_600_000 },
      },
    },
    ...answer("set", { status: "set", ...facts }),
  },
  "state.delete": answer("deleted", { status: "deleted", namespace: entry.namespace, key: entry.key }),
  "state.list": answer("page", { entries: [facts], next: entry.key }),
  "events.subscribe": {
    answers: {
      200: {
        joined: { value: joined },
        acked: { value: acked },
        changed: { value: changed },
        published: { value: published },
      },
    },
  },
  "events.publish": {
    request: {
      build: { value: { source: "ci", event_type: "x.build.finished", payload: { commit: "4295206", passed: true } } },
    },
    ...answer("published", { status: "published", id: published.id }),
  },
  "system.status": answer("healthy", status),
  "system.shutdown": answer("shutting_down", { status: "shutting_down" }),
};
