/** One official `@trpc/client`, to see that what the cheap subscribers count is what a real client is given. */
import { createTRPCUntypedClient, createWSClient, wsLink } from "@trpc/client";
import superjson from "superjson";
import { WebSocket } from "ws";
import type { BenchEvent } from "./bench-event.ts";
import type { Access } from "./server.ts";

export interface Witness extends AsyncDisposable {
  received(): number;
  /** What it saw that is wrong: numbers out of order, ids that are missing. Empty where all is well. */
  readonly complaints: readonly string[];
}

const retryMs = 100;

/** Resolves when it is subscribed. It resumes by itself after a cut, at the same URL. */
export async function startWitness({ url, headers }: Access): Promise<Witness> {
  class AuthorizedWebSocket extends WebSocket {
    constructor(address: string | URL) {
      super(address, { headers });
    }
  }
  const socket = createWSClient({
    url: `${url.replace("http", "ws")}/trpc`,
    WebSocket: AuthorizedWebSocket as unknown as typeof globalThis.WebSocket,
    retryDelayMs: () => retryMs,
  });
  const client = createTRPCUntypedClient({ links: [wsLink({ client: socket, transformer: superjson })] });
  const complaints: string[] = [];
  const started = Promise.withResolvers<void>();
  let received = 0;
  let due: number | undefined;
  const subscription = client.subscription(
    "events.subscribe",
    {},
    {
      onStarted: () => started.resolve(),
      onData(value) {
        received += 1;
        const { id, data } = value as { id: string; data: BenchEvent };
        const { n } = data.payload;
        if (!id || !data.id || data.event_type !== "x.bench.tick")
          complaints.push(`no whole event: ${JSON.stringify(value)}`);
        if (n !== (due ?? n)) complaints.push(`event ${n} where ${due} was due`);
        due = n + 1;
      },
      onError: (error) => {
        complaints.push(error.message);
        started.reject(error);
      },
    },
  );
  await started.promise;
  return {
    received: () => received,
    complaints,
    [Symbol.asyncDispose]: async () => {
      subscription.unsubscribe();
      await socket.close();
    },
  };
}
