/**
 * What does each thing that is done with a message cost: in CPU of Redis, and of what the whole way can carry? Each is left
 * out by itself, in rounds that alternate, and the rest is as in `message-throughput`: one agent, batches of sends, acks.
 */
import type { Cut } from "./events/cut-scripts.ts";
import { openExchange, type Sample } from "./messages/exchange.ts";
import type { Manner } from "./messages/peer.ts";
import type { Answer, Effort, Row } from "./question.ts";
import { round, summarize } from "./stats.ts";

const inFlight = 50;
const whole: Manner = { mode: "each", isAcked: true };

/** How a thing is left out. */
interface Without {
  title: string;
  cuts?: readonly Cut[];
  manner?: Manner;
  settings?: Record<string, number>;
}

const oneDayMs = 86_400_000;
/** What writes receipts. */
const tell = "local function ksi_tell(env, what, agent_id, message_id, fact, more)";
const withouts: Record<string, Without> = {
  bus: {
    title: "the copy on the message bus",
    cuts: [
      { text: "ksi_append(env.log, json, { bus, firehose })", instead: "ksi_append(env.log, json, { firehose })" },
    ],
  },
  firehose: {
    title: "the copy on the firehose",
    cuts: [{ text: "ksi_append(env.log, json, { bus, firehose })", instead: "ksi_append(env.log, json, { bus })" }],
  },
  delivered: {
    title: "the receipt message.delivered",
    cuts: [{ text: tell, instead: `${tell}\n  if what == 'delivered' then return end` }],
  },
  acked: {
    title: "the receipt message.acked",
    cuts: [{ text: tell, instead: `${tell}\n  if what == 'acked' then return end` }],
  },
  ack: { title: "the acknowledgement, its receipt included", manner: { ...whole, isAcked: false } },
  key: { title: "the idempotency key", manner: { ...whole, isKeyless: true } },
  presence: { title: "the sign of life of an agent that follows", settings: { agent_offline_after_ms: oneDayMs } },
};

interface Figures {
  perSecond: number;
  /** µs of Redis' CPU for each message, the disk's writes included: steady where others use the machine. */
  redisCpuUs: number;
  /** µs in which Redis was in a script, for each message, with what else the machine did meanwhile. */
  scriptUs: number;
}

type Results = Record<string, Figures[]>;

export async function measureMessageCosts({ isShort }: Effort): Promise<Answer> {
  const size = isShort ? { rounds: 1, ms: 200, restMs: 1_000 } : { rounds: 5, ms: 1_500, restMs: 5_000 };
  const results: Results = {};
  for (let i = 0; i < size.rounds; i++) {
    for (const name of ["all", ...Object.keys(withouts)]) {
      const figures = await measureWithout(withouts[name] ?? { title: "nothing" }, size.ms);
      results[name] = [...(results[name] ?? []), figures];
    }
  }
  const resting = await measurePresence(size.restMs);
  return {
    question: "What a message costs, and what each thing that is done with it has of that",
    rows: [...compareAll(results), comparePresence(resting)],
    raw: { ...results, "presence, µs of scripts a second": resting },
  };
}

async function measureWithout({ cuts, settings, manner = whole }: Without, ms: number): Promise<Figures> {
  await using exchange = await openExchange({
    peer: "ours",
    agents: 1,
    ours: { ...(settings && { settings }), ...(cuts && { cuts }) },
  });
  return toFigures(await exchange.carry({ inFlight, manner, ms }));
}

function toFigures({ perSecond, messages, redis }: Sample): Figures {
  return {
    perSecond,
    redisCpuUs: round((redis.cpuMs * 1_000) / messages),
    scriptUs: round(redis.scriptUs / messages),
  };
}

const presenceAgents = 100;
const presenceOfflineMs = 3_000;

interface Resting {
  watched: number;
  unwatched: number;
}

/** Renewed ten times as often as by default, so that it is seen in a short time. */
async function measurePresence(ms: number): Promise<Resting> {
  const measure = async (offlineMs: number) => {
    const ours = { settings: { agent_offline_after_ms: offlineMs } };
    await using exchange = await openExchange({ peer: "ours", agents: presenceAgents, ours });
    await exchange.carry({ inFlight, manner: whole, ms: 100 });
    return round((await exchange.rest(ms)).scriptUs / (ms / 1_000));
  };
  return { watched: await measure(presenceOfflineMs), unwatched: await measure(oneDayMs) };
}

function compareAll(results: Results): Row[] {
  const of = (name: string, figure: keyof Figures) =>
    summarize((results[name] ?? []).map((each) => each[figure])).median;
  return Object.entries(withouts).flatMap(([name, { title }]) => {
    const row = (what: string, unit: Row["unit"], figure: keyof Figures): Row => {
      const [ours, theirs] = [of("all", figure), of(name, figure)];
      const beside = `theirs is without it: ${round(theirs - ours)} ${unit}`;
      return { what: `${title}: ${what}, median`, unit, ours, theirs, ratio: round(ours / theirs), beside };
    };
    return [
      row("CPU of Redis for a message", "µs", "redisCpuUs"),
      row("to 1 agent with acks, in batches", "messages/s", "perSecond"),
    ];
  });
}

function comparePresence({ watched, unwatched }: Resting): Row {
  return {
    what: `scripts of Redis in a second for ${presenceAgents} agents that are online, nothing sent, renewed each second`,
    ...{ unit: "µs", ours: watched, theirs: unwatched, ratio: round(watched / unwatched) },
    beside: "theirs is renewed once in many hours; by default it is every ten seconds",
  };
}
