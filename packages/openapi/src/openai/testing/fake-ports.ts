/** Ports in memory, whose runs do what the test says, when it says it. */
import {
  type CancelInput,
  type FollowInput,
  isFinalRunEvent,
  KsiError,
  type Ports,
  type RunEvent,
  type SpawnInput,
  type SystemStatus,
  type WireError,
} from "@ksi/contract";
import { createFakeFollow } from "@ksi/testing";

type PayloadOf<T extends RunEvent["event_type"]> = Extract<RunEvent, { event_type: T }>["payload"];

export interface FakeRun {
  readonly run_id: string;
  readonly session_id: string;
  readonly input: SpawnInput;
  readonly events: readonly RunEvent[];
  /** Those who iterate its events now. */
  readonly followers: number;
  emit<T extends RunEvent["event_type"]>(event_type: T, payload: PayloadOf<T>): void;
  start(): void;
  say(...texts: string[]): void;
  /** Takes back the last so many characters. */
  retract(chars: number): void;
  useTool(): void;
  complete(payload?: Partial<PayloadOf<"run.completed">>): void;
  fail(error: WireError): void;
}

export interface FakePorts extends Ports {
  readonly spawned: readonly FakeRun[];
  readonly cancelled: readonly CancelInput[];
  readonly followed: readonly FollowInput[];
  status: Pick<SystemStatus, "runners" | "default_model">;
  /** What each new run does by itself. Default: nothing but being queued. */
  play: (run: FakeRun) => void;
  /** What the next calls reject with. */
  failures: { spawn?: KsiError; events?: KsiError; iteration?: KsiError; cancel?: KsiError };
}

export function createFakePorts(play: (run: FakeRun) => void = () => undefined): FakePorts {
  const spawned: FakeRun[] = [];
  const cancelled: CancelInput[] = [];
  const followed: FollowInput[] = [];
  const keys = new Map<string, { input: string; run: FakeRun }>();
  const runOf = (run_id: string) => {
    const run = spawned.find((each) => each.run_id === run_id);
    if (!run) throw new KsiError("NOT_FOUND", `There is no run ${run_id}.`);
    return run;
  };
  const { absent } = createAbsentPorts();

  const fake: FakePorts = {
    spawned,
    cancelled,
    followed,
    play,
    failures: {},
    status: {
      default_model: "echo",
      runners: [{ name: "echo", available: true, models: ["echo"] }],
    },
    runs: {
      ...absent.runs,
      async spawn(input) {
        if (fake.failures.spawn) throw fake.failures.spawn;
        const key = input.idempotency_key;
        const known = key === undefined ? undefined : keys.get(key);
        if (known && known.input !== JSON.stringify(input)) {
          throw new KsiError("CONFLICT", "This idempotency_key was used with another body.");
        }
        const run = known?.run ?? createFakeRun(input, spawned.length + 1);
        if (!known) {
          spawned.push(run);
          if (key !== undefined) keys.set(key, { input: JSON.stringify(input), run });
          run.emit("run.queued", { model: input.model ?? "echo", priority: input.priority });
          fake.play(run);
        }
        const { run_id, session_id } = run;
        return { status: "accepted", run_id, session_id, message: "Accepted." };
      },
      async cancel(input) {
        cancelled.push(input);
        if (fake.failures.cancel) throw fake.failures.cancel;
        const run = runOf(input.run_id);
        const isOver = run.events.some(isFinalRunEvent);
        if (!isOver) run.emit("run.cancelled", { error: { code: "RUN_CANCELLED", message: input.reason ?? "" } });
        return { run_id: run.run_id, status: isOver ? "completed" : "running", cancelled: !isOver };
      },
      async events(run_id, from, signal) {
        if (fake.failures.events) throw fake.failures.events;
        followed.push(from);
        return createFakeFollow(`runs:${run_id}`, () => follow(runOf(run_id), fake, signal));
      },
    },
    sessions: absent.sessions,
    agents: absent.agents,
    messages: absent.messages,
    profiles: absent.profiles,
    state: absent.state,
    events: absent.events,
    system: { ...absent.system, status: async () => ({ ...idleStatus, ...fake.status }) },
  };
  return fake;
}

async function* follow(run: FakeRun, fake: FakePorts, signal: AbortSignal | undefined) {
  const counted = followers.get(run.run_id) ?? { count: 0, wake: new Set<() => void>() };
  followers.set(run.run_id, counted);
  counted.count += 1;
  try {
    for (let at = 0; !signal?.aborted; ) {
      if (fake.failures.iteration) throw fake.failures.iteration;
      const event = run.events[at];
      if (event) {
        at += 1;
        yield { cursor: `1.${at}`, event };
        if (isFinalRunEvent(event)) return;
        continue;
      }
      await new Promise<void>((resolve) => {
        counted.wake.add(resolve);
        signal?.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  } finally {
    counted.count -= 1;
  }
}

const followers = new Map<string, { count: number; wake: Set<() => void> }>();

function createFakeRun(input: SpawnInput, number: number): FakeRun {
  const run_id = `run-${number}-${crypto.randomUUID().slice(0, 8)}`;
  const session_id = input.session_id ?? crypto.randomUUID();
  const events: RunEvent[] = [];
  const said: string[] = [];
  const model = input.model ?? "echo";
  const run: FakeRun = {
    run_id,
    session_id,
    input,
    events,
    get followers() {
      return followers.get(run_id)?.count ?? 0;
    },
    emit(event_type, payload) {
      const id = `${run_id}-${events.length}`;
      const event = {
        id,
        source: "ksi",
        timestamp: "2026-01-02T03:04:05.678Z",
        run_id,
        session_id,
        event_type,
        payload,
      };
      events.push(event as unknown as RunEvent);
      const waiting = followers.get(run_id)?.wake;
      for (const wake of waiting ?? []) wake();
      waiting?.clear();
    },
    start: () => run.emit("run.started", { model, runner: "fake", worker_id: "w", attempt: 1 }),
    say(...texts) {
      for (const text of texts) {
        said.push(text);
        run.emit("run.text", { text });
      }
    },
    retract(chars) {
      said.splice(0, said.length, said.join("").slice(0, -chars));
      run.emit("run.retracted", { chars });
    },
    useTool() {
      said.length = 0;
      run.emit("run.tool_use", { tool_use_id: "t", name: "Bash", input: {} });
    },
    complete: (payload) => run.emit("run.completed", { result: said.join(""), model, duration_ms: 1, ...payload }),
    fail: (error) => run.emit("run.failed", { error }),
  };
  return run;
}

const idleStatus: Omit<SystemStatus, "runners" | "default_model"> = {
  status: "healthy",
  version: "0",
  uptime_ms: 1,
  agents: 0,
  agents_online: 0,
  active_processes: 0,
  queued: 0,
  redis_info: { mode: "embedded", version: "8", used_memory_bytes: 0, connected_clients: 0 },
};

function createAbsentPorts(): { absent: Ports } {
  const no = () => Promise.reject(new Error("This port is not part of the test."));
  return {
    absent: {
      runs: { spawn: no, get: no, list: no, result: no, cancel: no, events: no },
      sessions: { list: no, get: no, messages: no, delete: no },
      agents: { register: no, unregister: no, get: no, list: no, heartbeat: no },
      messages: {
        send: no,
        sendBatch: no,
        request: no,
        history: no,
        inbox: no,
        ack: no,
        nack: no,
        deadLetters: no,
        redrive: no,
      },
      profiles: { list: no, get: no },
      state: { get: no, set: no, delete: no, list: no },
      events: { publish: no, subscribe: no },
      system: { status: no, health: no, shutdown: no },
    },
  };
}
