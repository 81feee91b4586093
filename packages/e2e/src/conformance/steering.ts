/** What is drawn otherwise than by chance: ids that exist, so that lookups hit, and runs that end soon. */
import fc from "fast-check";
import type { Steering } from "./values.ts";

/** What the daemon has. */
export interface Known {
  /** That have ended. */
  readonly runs: readonly string[];
  readonly endlessRun: string;
  readonly sessions: readonly string[];
  readonly agents: readonly string[];
  /** What agents can do. */
  readonly capabilities: readonly string[];
  /** An agent that answers requests at once, and what it alone can do. */
  readonly answering: { readonly agent_id: string; readonly capability: string };
  /** Ids of messages in the inbox of the first agent. */
  readonly messages: readonly string[];
  readonly profiles: readonly string[];
  /** Of the shared state. */
  readonly namespace: string;
  readonly keys: readonly string[];
  /** Those of each stream, by its operation. */
  readonly cursors: Readonly<Record<string, readonly string[]>>;
  /** `next` of each list, by its operation. */
  readonly pages: Readonly<Record<string, string>>;
}

export function createSteering(known: Known): Steering {
  const { runs, endlessRun, sessions, agents, capabilities, cursors, pages } = known;
  const places = Object.entries(pages).map(([id, page]) => [`${id}.after`, mostly(fc.constant(page))]);
  for (const [id, ofStream] of Object.entries(cursors)) {
    for (const name of ["last_event_id", "Last-Event-ID"]) {
      places.push([`${id}.${name}`, mostly(fc.constantFrom(...ofStream))]);
    }
  }
  return {
    ...Object.fromEntries(places),
    RunId: mostly(fc.constantFrom(...runs)),
    SessionId: mostly(fc.constantFrom(...sessions)),
    AgentId: mostly(fc.constantFrom(...agents)),
    ...steerMessages(known),
    ProfileName: mostly(fc.constantFrom(...known.profiles)),
    Namespace: mostly(fc.constant(known.namespace)),
    StateKey: often(fc.constantFrom(...known.keys)),
    "state_set.value": often(big(262_144)),
    "state_set.if_version": often(fc.constantFrom(0, 1)),
    // Whoever registers them does not answer.
    Capability: often(fc.constantFrom(...capabilities)),
    // The model echo answers at once, and the stand-in for claude needs a process.
    "SpawnInput.model": mostly(models),
    "SpawnInput.images": mostly(fc.constant([])),
    "SpawnInput.cwd": (usual) => mostly(fc.constant("."))(often(fc.constantFrom("/", "..", "not-there"))(usual)),
    "SpawnInput.agent_profile": mostly(fc.constantFrom(...known.profiles)),
    "SpawnInput.metadata": often(fc.oneof(fc.record({ echo: scripts }), big(65_536))),
    "SpawnInput.idempotency_key": often(fc.constantFrom("first", "second")),
    "PublishInput.payload": often(big(262_144)),
    // Its result is not asked for, since that waits.
    ...Object.fromEntries(
      ["runs_get", "runs_events", "runs_cancel"].map((id) => [`${id}.run_id`, sometimes(endlessRun)]),
    ),
    "ChatCompletionRequest.model": mostly(models),
    "ChatCompletionRequest.messages": (usual) =>
      often(questions.map((question) => [question]))(fc.tuple(usual, questions).map(([a, b]) => [...list(a), b])),
    "ChatMetadata.echo": often(scripts),
    // What is refused because it is not served would leave nothing else to be looked at.
    "ChatCompletionRequest.n": mostly(fc.constant(1)),
    "ChatCompletionRequest.tools": mostly(fc.constant([])),
    "ChatCompletionRequest.functions": mostly(fc.constant(null)),
    "ChatCompletionRequest.tool_choice": mostly(fc.constantFrom("auto", "none")),
    "ChatCompletionRequest.function_call": mostly(fc.constantFrom("auto", null)),
    "ChatCompletionRequest.logprobs": mostly(fc.constant(false)),
    "ChatCompletionRequest.modalities": mostly(fc.constant(["text"])),
    "ChatCompletionRequest.response_format": mostly(fc.constant({ type: "text" })),
    "ImageUrlContentPart.image_url": often(fc.constant({ url: "data:image/png;base64,iVBORw0KGgo=" })),
    "openai_models_get.model": often(models),
  };
}

function steerMessages({ messages, capabilities, answering: { agent_id, capability } }: Known): Steering {
  const hops = mostly(fc.constantFrom(0, 1, 32));
  return {
    MessageId: often(fc.constantFrom(...messages)),
    SendInput: toOneAddress(),
    "SendInput.payload": often(big(262_144)),
    "SendInput.hops": hops,
    "SendInput.idempotency_key": often(fc.constantFrom("first", "second")),
    RequestInput: toOneAddress(capability),
    "RequestInput.target": mostly(fc.constant(agent_id)),
    "RequestInput.capability": mostly(fc.constantFrom(capability, [capability, ...capabilities])),
    "RequestInput.hops": hops,
    // What expires at once is not answered, and nobody waits for long who is not answered.
    "RequestInput.ttl_ms": mostly(fc.constant(60_000)),
    "RequestInput.timeout_ms": () => fc.constantFrom(1, 1_000, 1_000),
  };
}

/** Few messages have both addresses, which is one too many; without any they go to `otherwise`. */
function toOneAddress(otherwise?: string): Steer {
  const left = fc.constantFrom("target", "target", "capability", "capability", "both");
  return (usual) =>
    fc.tuple(usual, left).map(([message, kept]) => {
      if (!isObject(message)) return message;
      const { target, capability, ...others } = message;
      const both = {
        ...(target !== undefined && kept !== "capability" && { target }),
        ...(capability !== undefined && kept !== "target" && { capability }),
      };
      const isWithout = Object.keys(both).length === 0 && otherwise !== undefined;
      return { ...others, ...both, ...(isWithout && { capability: otherwise }) };
    });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

type Steer = Steering[string];

function mostly(arbitrary: fc.Arbitrary<unknown>): Steer {
  return (usual) => fc.oneof({ weight: 15, arbitrary }, { weight: 1, arbitrary: usual });
}

function sometimes(value: unknown): Steer {
  return (usual) => fc.oneof({ weight: 1, arbitrary: fc.constant(value) }, { weight: 5, arbitrary: usual });
}

function often(arbitrary: fc.Arbitrary<unknown>): Steer {
  return (usual) => fc.oneof({ weight: 1, arbitrary }, { weight: 1, arbitrary: usual });
}

const models = fc.oneof(
  { weight: 12, arbitrary: fc.constant("echo") },
  { weight: 1, arbitrary: fc.constant("sonnet") },
);

/** A run can end with any of these. */
const failures = fc.constantFrom(
  ...["RUNNER_CRASHED", "RUNNER_BAD_OUTPUT", "MODEL_AUTH", "MODEL_OVERLOADED", "MODEL_RATE_LIMITED", "MODEL_ERROR"],
  ...["MAX_TURNS", "BUDGET_EXCEEDED", "SESSION_IN_USE", "RUN_CANCELLED", "RUN_TIMED_OUT", "WORKER_LOST"],
);

const scripts = fc.record(
  { delay_ms: fc.constantFrom(0, 1), tool: fc.constant({ name: "Read", input: { file: "x" } }), fail: failures },
  { requiredKeys: [], noNullPrototype: true },
);

const questions = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 30 })
  .map((content) => ({ role: "user", content }));

/** An object of that many bytes of JSON, or one more, which is one too many. */
function big(maxBytes: number): fc.Arbitrary<unknown> {
  const sizes = fc.constantFrom(maxBytes, maxBytes + 1);
  return sizes.map((bytes) => ({ text: "x".repeat(bytes - '{"text":""}'.length) }));
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
