/** The journey of a run, an inbox and the firehose over REST and plain WebSocket, with nothing but fetch and ws. */
import { once } from "node:events";
import { until } from "@ksi/testing";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { startLiveDaemon } from "./live-daemon.ts";

interface ServerSentEvent {
  readonly id: string;
  readonly data: Record<string, unknown>;
}

test("a run is spawned, followed, cut, resumed without a hole, and has its result", async () => {
  await using live = await startLiveDaemon();
  const rest = callerOf(live.daemon);
  const prompt = Array.from({ length: 20 }, (_, i) => `word${i}`).join(" ");
  const metadata = { echo: { delay_ms: 20 } };
  const accepted = await rest.json("POST", "/api/v1/spawn", { prompt, model: "echo", metadata });
  const ids = { run_id: expect.any(String), session_id: expect.any(String) };
  expect(accepted).toEqual({ status: "accepted", ...ids, message: "Accepted." });
  const path = `/api/v1/runs/${accepted.run_id}/events`;

  const first = await rest.events(path, {}, 5);
  expect(first.map(({ data }) => data.event_type).slice(0, 2)).toEqual(["run.queued", "run.started"]);
  const others = await rest.events(path, { "last-event-id": first.at(-1)?.id ?? "" });
  const words = [...first, ...others].flatMap(({ data }) => (data.event_type === "run.text" ? [textOf(data)] : []));
  expect(words.join("")).toBe(prompt);
  expect(others.at(-1)?.data.event_type).toBe("run.completed");

  // What an EventSource does behind the end: it asks again, and is told to stay away. A daemon that needs longer than
  // 200 ms to know tells it nothing and ends, so that it asks once more.
  const behind = async () => {
    const after = await rest.fetch("GET", path, { "last-event-id": others.at(-1)?.id ?? "" });
    expect(await after.text()).not.toContain("data:");
    return after.status === 204;
  };
  await until(behind, { message: "there is nothing behind the end" });
  const run = await rest.json("GET", `/api/v1/runs/${accepted.run_id}/result?wait_ms=5000`);
  expect(run).toMatchObject({
    run_id: accepted.run_id,
    session_id: accepted.session_id,
    status: "completed",
    result: prompt,
  });
  expect(await rest.json("GET", `/api/v1/runs?session_id=${accepted.session_id}`)).toMatchObject({ runs: [run] });
  const said = await rest.json("GET", `/api/v1/sessions/${accepted.session_id}/messages?limit=1`);
  expect(said).toMatchObject({ messages: [{ role: "human", content: prompt }], next: expect.any(String) });
  expect(await rest.json("GET", "/api/v1/status")).toMatchObject({ status: "healthy", agents: 0, active_processes: 0 });
});

test("an inbox starts at the oldest message kept, resumes, and opens with a ticket", async () => {
  await using live = await startLiveDaemon();
  const rest = callerOf(live.daemon);
  const registered = await rest.json("POST", "/api/v1/agents/register", { agent_id: "bob", capabilities: ["x"] });
  expect(registered).toMatchObject({ status: "registered", agent: { agent_id: "bob", capabilities: ["x"] } });
  for (const n of [1, 2, 3]) {
    const message = { source: "alice", target: "bob", event_type: "x.note", payload: { n } };
    expect(await rest.json("POST", "/api/v1/messages", message)).toMatchObject({ status: "sent", recipients: 1 });
  }
  const path = "/api/v1/agents/bob/inbox";
  const [one, two] = await rest.events(path, {}, 2);
  expect(one?.data).toMatchObject({ source: "alice", target: "bob", event_type: "x.note", payload: { n: 1 } });
  const [three] = await rest.events(`${path}?last_event_id=${two?.id}`, {}, 1);
  expect(three?.data.payload).toEqual({ n: 3 });

  const { ticket } = await rest.json("POST", "/api/v1/tickets");
  const stranger = callerOf({ ...live.daemon, token: "" });
  expect((await stranger.events(`${path}?ticket=${ticket}`, {}, 1))[0]?.data.payload).toEqual({ n: 1 });
  expect((await stranger.fetch("GET", `${path}?ticket=${ticket}`)).status).toBe(401);

  const page = await rest.json("GET", "/api/v1/messages?limit=2");
  expect(page).toMatchObject({ messages: [{ payload: { n: 1 } }, { payload: { n: 2 } }] });
  expect(await rest.json("GET", `/api/v1/messages?after=${page.next}`)).toMatchObject({
    messages: [{ payload: { n: 3 } }],
  });
  expect(await rest.json("GET", "/api/v1/agents")).toMatchObject({ agents: [{ agent_id: "bob" }] });
  expect(await rest.json("DELETE", "/api/v1/agents/bob")).toEqual({ status: "unregistered", agent_id: "bob" });
});

test("a plain WebSocket gets a run with its text, one event a frame, and resumes by the cursor of a frame", async () => {
  await using live = await startLiveDaemon();
  const { url, token } = live.daemon;
  const rest = callerOf(live.daemon);
  const { run_id } = await rest.json("POST", "/api/v1/spawn", { prompt: "one two three", model: "echo" });
  const frames = async (query: string) => {
    const socket = new WebSocket(`${url.replace("http", "ws")}/ws?${query}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const got: Record<string, unknown>[] = [];
    socket.on("message", (data) => got.push(JSON.parse(String(data))));
    const [code] = await once(socket, "close");
    return { got, code };
  };
  const whole = await frames(`run_id=${run_id}`);
  const types = ["run.queued", "run.started", "run.text", "run.text", "run.text", "run.completed"];
  expect(whole.code).toBe(1000);
  expect(whole.got.map(({ event_type }) => event_type)).toEqual(types);
  const resumed = await frames(`run_id=${run_id}&last_event_id=${whole.got[3]?.cursor}`);
  expect(resumed.got).toEqual(whole.got.slice(4));
  expect(await frames("run_id=nobody")).toMatchObject({ code: 4404, got: [{ error: { code: "NOT_FOUND" } }] });
});

test("the firehose on a plain WebSocket opens with a ticket, has no text, and resumes where a socket was lost", async () => {
  await using live = await startLiveDaemon();
  const { url } = live.daemon;
  const rest = callerOf(live.daemon);
  const open = (query: string) => {
    const socket = new WebSocket(`${url.replace("http", "ws")}/ws?${query}`);
    const got: Record<string, unknown>[] = [];
    socket.on("message", (data) => got.push(JSON.parse(String(data))));
    return { socket, got, closed: once(socket, "close") };
  };
  const byTicket = async (query: string) =>
    open(`${query}&ticket=${(await rest.json("POST", "/api/v1/tickets")).ticket}`);
  const publish = (n: number) =>
    rest.json("POST", "/api/v1/events", { source: "alice", event_type: "x.note", payload: { n } });

  const stranger = open("types=run.*");
  expect((await stranger.closed)[0]).toBe(4401);
  expect(stranger.got).toMatchObject([{ error: { code: "UNAUTHORIZED" } }]);

  const first = await byTicket("types=run.*,x.*");
  await once(first.socket, "open");
  expect(await publish(1)).toEqual({ status: "published", id: expect.any(String) });
  await rest.json("POST", "/api/v1/agents/register", { agent_id: "bob" });
  const { run_id } = await rest.json("POST", "/api/v1/spawn", { prompt: "one two", model: "echo" });
  await until(() => first.got.length === 4, { message: "the run has ended" });
  const types = ["x.note", "run.queued", "run.started", "run.completed"];
  expect(first.got.map(({ event_type }) => event_type)).toEqual(types);
  first.socket.terminate();

  await publish(2);
  const cursor = first.got[1]?.cursor;
  const second = await byTicket(`types=run.*&types=x.*&last_event_id=${cursor}`);
  await until(() => second.got.length === 3, { message: "what came in between is there" });
  expect(second.got).toEqual([...first.got.slice(2), expect.objectContaining({ payload: { n: 2 } })]);
  second.socket.terminate();

  const ofBob = await byTicket("agent_id=bob&from=oldest");
  await until(() => ofBob.got.length === 1, { message: "the agent's own event is there" });
  expect(ofBob.got).toMatchObject([{ event_type: "agent.joined", agent_id: "bob" }]);
  ofBob.socket.terminate();
  expect(await rest.json("POST", `/api/v1/runs/${run_id}/cancel`)).toEqual({
    run_id,
    status: "completed",
    cancelled: false,
  });
});

test("sessions and what was said in them are paged, and are gone when deleted", async () => {
  await using live = await startLiveDaemon();
  const rest = callerOf(live.daemon);
  const session_id = "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b";
  for (const prompt of ["one", "two"]) {
    const { run_id } = await rest.json("POST", "/api/v1/spawn", { prompt, model: "echo", session_id });
    await rest.json("GET", `/api/v1/runs/${run_id}/result`);
  }
  await rest.json("POST", "/api/v1/spawn", { prompt: "other", model: "echo" });

  const sessions = await pages(rest, "/api/v1/sessions", "sessions");
  expect(sessions.length).toBe(2);
  const session = await rest.json("GET", `/api/v1/sessions/${session_id}`);
  expect(session).toMatchObject({ session_id, run_count: 2, last_status: "completed" });
  expect(sessions[1]).toEqual(session);
  const said = await pages(rest, `/api/v1/sessions/${session_id}/messages`, "messages");
  expect(said).toMatchObject(["one", "one", "two", "two"].map((content) => ({ content })));
  expect((await pages(rest, "/api/v1/runs", "runs")).length).toBe(3);

  const deleted = { status: "deleted", session_id };
  expect(await rest.json("DELETE", `/api/v1/sessions/${session_id}`)).toEqual(deleted);
  expect((await rest.fetch("GET", `/api/v1/sessions/${session_id}`)).status).toBe(404);
  expect((await pages(rest, "/api/v1/runs", "runs")).length).toBe(1);
});

/** All of a list, one entry a page. */
async function pages(rest: ReturnType<typeof callerOf>, path: string, name: string): Promise<unknown[]> {
  const found: unknown[] = [];
  let after = "";
  do {
    const { [name]: entries, next } = await rest.json("GET", `${path}?limit=1${after}`);
    expect(entries).toHaveLength(1);
    found.push(...(Array.isArray(entries) ? entries : []));
    after = next === undefined ? "" : `&after=${next}`;
  } while (after);
  return found;
}

function textOf(data: Record<string, unknown>): string {
  return (data.payload as { text: string }).text;
}

function callerOf({ url, token }: { url: string; token: string }) {
  const call = (method: string, path: string, headers = {}, body?: object) =>
    fetch(url + path, {
      method,
      headers: { ...(token && { authorization: `Bearer ${token}` }), "content-type": "application/json", ...headers },
      ...(body && { body: JSON.stringify(body) }),
    });
  return {
    fetch: (method: string, path: string, headers = {}) => call(method, path, headers),
    /** Of an answer that is 200. */
    async json(method: string, path: string, body?: object) {
      const answer = await call(method, path, {}, body);
      const said = await answer.json();
      expect(answer.status, JSON.stringify(said)).toBe(200);
      return said as Record<string, unknown>;
    },
    /** The first `count` events, or all until the end; then the stream is left. */
    async events(path: string, headers: object, count = Number.POSITIVE_INFINITY): Promise<ServerSentEvent[]> {
      const answer = await call("GET", path, headers);
      expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
      const events: ServerSentEvent[] = [];
      let text = "";
      for await (const chunk of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        const blocks = (text + chunk).split("\n\n");
        text = blocks.pop() ?? "";
        for (const block of blocks) {
          const [, id = "", data = ""] = /^id: (.*)\ndata: (.*)$/m.exec(block) ?? [];
          if (data && events.length < count) events.push({ id, data: JSON.parse(data) });
        }
        if (events.length >= count) break;
      }
      return events;
    },
  };
}
