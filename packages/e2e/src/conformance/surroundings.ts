/** A whole daemon with something of everything in it, somebody who keeps publishing, and one who answers. */
import { setTimeout } from "node:timers/promises";
import { until } from "@ksi/testing";
import { type ScriptedDaemon, startScriptedDaemon } from "../openai-clients.ts";
import { startAnsweringAgent } from "./answering-agent.ts";
import { eventsOf } from "./check.ts";
import { send } from "./send.ts";
import type { Known } from "./steering.ts";

export interface Surroundings extends ScriptedDaemon {
  readonly known: Known;
}

export async function startSurroundings(): Promise<Surroundings> {
  await using stack = new AsyncDisposableStack();
  const live = stack.use(await startScriptedDaemon({ KSI_DEFAULT_MODEL: "echo", KSI_LOG_LEVEL: "warn" }));
  const known = await furnish(live);
  stack.use(await startAnsweringAgent(live.ksi, known.answering));
  const stopped = new AbortController();
  const publishing = keepPublishing(live, stopped.signal);
  stack.defer(async () => {
    stopped.abort();
    await publishing;
  });
  const owned = stack.move();
  return { ...live, known, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function furnish({ ksi, daemon }: ScriptedDaemon): Promise<Known> {
  const read = await ksi.run({ prompt: "one two three", metadata: { echo: { tool: { name: "Read" } } } });
  const { session_id } = read;
  const again = await ksi.run({ prompt: "four", session_id });
  const scripted = await ksi.run({ prompt: "five six", model: "sonnet" });
  const failed = await ksi.run({ prompt: "seven", metadata: { echo: { fail: "MODEL_ERROR" } } });
  const ended = [read, again, scripted, failed];
  await Promise.allSettled(ended.map((run) => run.result()));
  // It never says its second word.
  const endless = await ksi.run({ prompt: "eight nine", metadata: { echo: { delay_ms: 60_000 } } });

  const agents = ["listener", "speaker"];
  const capabilities = ["talk", "listen"];
  for (const agent_id of agents) await ksi.agents.register({ agent_id, profile: "tester", capabilities });
  const messages: string[] = [];
  for (let number = 1; number <= 3; number++) {
    const greeting = { source: "speaker", target: "listener", event_type: "HELLO", payload: { number } };
    messages.push((await ksi.messages.send(greeting)).id);
  }
  const namespace = "plans";
  const keys = ["release/1.0", "release/2.0", "Ω ?#%"];
  for (const key of keys) await ksi.trpc.state.set.mutate({ namespace, key, value: { key } });

  const headers = { authorization: `Bearer ${daemon.token}` };
  const cursorsAt = (path: string) =>
    // A stream is read for so short a time that a busy daemon may have told nothing by then.
    until(async () => {
      const { body } = await send(daemon.url, { method: "GET", path, headers });
      const cursors = eventsOf(body).flatMap(({ id }) => id ?? []);
      return cursors.length > 0 && cursors;
    });
  const [runs_events = [], messages_inbox = [], events_subscribe = []] = await Promise.all(
    [`/runs/${read.run_id}/events`, "/agents/listener/inbox", "/events?from=oldest"].map((path) =>
      cursorsAt(`/api/v1${path}`),
    ),
  );
  const [runsPage, sessionsPage, agentsPage, turns, messagesPage, keysPage, { profiles }] = await Promise.all([
    ksi.runs.list({ limit: 1 }),
    ksi.sessions.list({ limit: 1 }),
    ksi.agents.list({ limit: 1 }),
    ksi.sessions.messages({ session_id, limit: 1 }),
    ksi.messages.history({ limit: 1 }),
    ksi.trpc.state.list.query({ namespace, limit: 1 }),
    ksi.trpc.profiles.list.query(),
  ]);
  return {
    runs: ended.map(({ run_id }) => run_id),
    endlessRun: endless.run_id,
    // Not that of the endless run: what is asked there waits for it.
    sessions: ended.map((run) => run.session_id),
    agents,
    capabilities,
    answering: { agent_id: "critic", capability: "review" },
    messages,
    profiles: profiles.map(({ name }) => name),
    namespace,
    keys,
    cursors: { runs_events, messages_inbox, events_subscribe },
    pages: {
      runs_list: nextOf(runsPage),
      sessions_list: nextOf(sessionsPage),
      agents_list: nextOf(agentsPage),
      sessions_messages: nextOf(turns),
      messages_history: nextOf(messagesPage),
      state_list: nextOf(keysPage),
    },
  };
}

function nextOf({ next }: { readonly next?: string | undefined }): string {
  if (next === undefined) throw new Error("The first page should not have been all.");
  return next;
}

/** On a firehose on which nothing happens, a stream has nothing to show. */
async function keepPublishing({ ksi }: ScriptedDaemon, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await ksi.events.publish({ source: "speaker", event_type: "x.tick", payload: null });
    await setTimeout(20);
  }
}
