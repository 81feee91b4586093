/** Calls of a chat completion by a client that does nothing but keep time, so that it is the same for everybody. */
import { Agent, type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { now } from "./stats.ts";

export interface Target {
  /** Of the chat completions route. */
  readonly url: string;
  readonly headers: Record<string, string>;
  /** The body of a call that asks for this work. */
  body(work: Work): object;
}

/** What is asked of whoever answers: to wait, then to say that many pieces of text, each with the time it was said. */
export interface Work {
  readonly work_ms: number;
  readonly chunks: number;
  readonly every_ms: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: 64 });

/** Milliseconds of each of `count` whole calls, `concurrency` at a time, and how long all took. */
export async function callMany(
  target: Target,
  work: Work,
  { count, concurrency }: { count: number; concurrency: number },
): Promise<{ samples: number[]; wholeMs: number }> {
  const samples: number[] = [];
  let left = count;
  const startedAt = now();
  const callInTurn = async () => {
    while (left-- > 0) {
      const askedAt = now();
      for await (const _ of await call(target, target.body(work)));
      samples.push(now() - askedAt);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, callInTurn));
  return { samples, wholeMs: now() - startedAt };
}

export interface StreamTimes {
  /** From the moment a piece was said to its arrival. */
  readonly delays: number[];
  /** From the call to the first piece's arrival, less what came before that piece was said. */
  readonly firstMs: number;
  readonly chunksPerSecond: number;
}

/** One streamed call, whose pieces of text are the epoch milliseconds at which they were said. */
export async function streamOnce(target: Target, work: Work): Promise<StreamTimes> {
  const delays: number[] = [];
  let firstAt: number | undefined;
  let lastAt = 0;
  for await (const content of contents(await call(target, { ...target.body(work), stream: true }))) {
    lastAt = now();
    firstAt ??= lastAt;
    for (const said of content.trim().split(" ")) delays.push(lastAt - Number(said));
  }
  if (firstAt === undefined || delays.length !== work.chunks) {
    throw new Error(`${delays.length} of ${work.chunks} pieces came from ${target.url}`);
  }
  const spanMs = lastAt - firstAt;
  return { delays, firstMs: delays[0] ?? 0, chunksPerSecond: ((work.chunks - 1) / spanMs) * 1_000 };
}

function call({ url, headers }: Target, body: object): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const options = { method: "POST", agent, headers: { "content-type": "application/json", ...headers } };
    const sent = request(url, options, (answer) => {
      if (answer.statusCode === 200) return resolve(answer);
      void text(answer).then((why) => reject(new Error(`${url} answered ${answer.statusCode}: ${why}`)), reject);
    });
    sent.on("error", reject);
    sent.end(JSON.stringify(body));
  });
}

interface Chunk {
  readonly choices?: { readonly delta?: { readonly content?: string | null } }[];
}

async function* contents(answer: IncomingMessage): AsyncGenerator<string> {
  let rest = "";
  answer.setEncoding("utf8");
  for await (const text of answer) {
    const lines = (rest + String(text)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (!line.startsWith("data: {")) continue;
      const content = (JSON.parse(line.slice("data: ".length)) as Chunk).choices?.[0]?.delta?.content;
      if (content) yield content;
    }
  }
}
