/** The commands of agents and messages, as a user has them, against a whole daemon. */
import { createKsiClient, type DeadLetter, type Message } from "@ksi/client";
import { createTempFolder, startDaemonProcess, until } from "@ksi/testing";
import { afterAll, expect, test } from "vitest";
import { runKsi, startKsi } from "../testing/ksi-process.ts";
import { createRecordedTerminal } from "../testing/recorded-terminal.ts";
import { formatDeadLetters, formatMessages } from "./messages.ts";

const folder = await createTempFolder();
const env = { KSI_CLAUDE_BIN: "/nowhere/claude", KSI_MESSAGE_MAX_DELIVERIES: "1" };
const daemon = await startDaemonProcess({ dataDir: folder.path, env });
const client = createKsiClient(daemon);
afterAll(async () => {
  await client.close();
  await daemon[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const where = { cwd: folder.path, dataDir: folder.path };
const start = (...argv: string[]) => startKsi(argv, where);
const ksi = (...argv: string[]) => runKsi(argv, where);
const lines = (text: string) => text.split("\n").filter(Boolean);
const payloads = (text: string) => lines(text).map((line) => JSON.parse(line).payload.content);

test("agents are listed by what they can do and whether they are there, and one is shown", async () => {
  await client.agents.register({ agent_id: "ann", capabilities: ["sing"], metadata: { floor: 3 } });
  const registered = await ksi(
    "agents",
    "register",
    "abe",
    "--capability",
    "write tests",
    "--capabilities",
    "sing,dance",
  );
  expect(registered).toMatchObject({ code: 0, stdout: "Registered abe. Its messages: ksi inbox abe -f\n" });
  expect((await ksi("agents", "--capability", "sing")).stdout).toMatch(
    /^abe +online +\S.* +- +write tests,sing,dance\nann +online .* sing\n$/,
  );
  expect((await ksi("agents", "--capability", "write tests", "--json")).stdout).toMatch(/^\{"agent_id":"abe",.*\}\n$/);
  expect(await ksi("agents", "--profile", "nobody")).toMatchObject({
    code: 0,
    stdout: "",
    stderr: "No registered agent is like that.\n",
  });
  expect((await ksi("agents", "show", "ann")).stdout).toMatch(/^status +online, seen .*^metadata +\{"floor":3\}$/ms);
  expect(await ksi("agents", "show", "nobody")).toMatchObject({ code: 5, stdout: "" });
});

test("a slip in the profile of an agent is told, and a name of one's own is not", async () => {
  for (const [profile, stderr] of [
    ["critc", '! There is no profile "critc". Did you mean critic?\n'],
    ["critic", ""],
    ["of-my-own", ""],
  ] as const) {
    expect(await ksi("agents", "register", "pia", "--profile", profile)).toMatchObject({ code: 0, stderr });
    expect(await client.agents.get("pia")).toMatchObject({ profile });
  }
});

test("a message for a capability says to whom it went, and an answer is waited for", async () => {
  const cid = await client.agents.join({ agent_id: "cid", capabilities: ["add"] });
  const stop = new AbortController();
  const asked: unknown[] = [];
  const handling = cid.handle(
    (message) => {
      asked.push(message);
      return message.event_type === "DATA" ? [4] : "It is 4.";
    },
    { signal: stop.signal },
  );
  const sent = await ksi(
    "send",
    "--capability",
    "add",
    "--correlation-id",
    "c1",
    "--reply-to",
    "abe",
    "--ttl",
    "1d",
    "?",
  );
  expect(sent).toMatchObject({ code: 0, stdout: "Sent to cid.\n" });
  await until(() => asked.length === 1);
  expect(asked).toMatchObject([{ correlation_id: "c1", reply_to: "abe", expires_at: expect.any(String) }]);
  expect(await ksi("send", "--capability", "add", "--wait", "What is 2+2?")).toMatchObject({
    code: 0,
    stdout: "It is 4.\n",
    stderr: "from cid\n",
  });
  const data = await ksi("send", "--to", "cid", "--wait", "--json", "--type", "DATA", "--payload", "[2,2]");
  expect(JSON.parse(data.stdout)).toMatchObject({ status: "replied", reply: { source: "cid", payload: [4] } });
  stop.abort();
  await handling;
  const late = await ksi("send", "--to", "cid", "--wait", "-t", "100ms", "?");
  expect(late).toMatchObject({
    code: 124,
    stdout: "",
    stderr: expect.stringContaining("No answer came within 100 ms"),
  });
});

test.for<[name: string, argv: string[], code: number, word: string]>([
  ["a capability that nobody has", ["send", "--capability", "fly", "x"], 5, "fly"],
  ["an agent and a capability", ["send", "--to", "a", "--capability", "b", "x"], 2, "either --to or --capability"],
  ["waiting for all", ["send", "--all", "--wait", "x"], 2, "--wait needs somebody to answer"],
  ["nobody", ["send", "bob", "x"], 2, "Say who is to get it"],
  ["a time without waiting", ["send", "--to", "a", "-t", "1s", "x"], 2, "--timeout"],
  ["a wait that is too long", ["send", "--to", "a", "--wait", "-t", "11m", "x"], 2, "10m at the most"],
  ["sharing without taking", ["inbox", "a", "--shared"], 2, "--ack"],
  ["the dead letters of nobody", ["messages", "dead", "nobody"], 5, "nobody"],
  ["a slip in a receiver", ["send", "--to", "ninna", "x"], 5, "Did you mean nina?"],
  ["a slip in an agent", ["agents", "show", "nna"], 5, "Did you mean nina?"],
  ["a slip in an inbox", ["inbox", "nian"], 5, "Did you mean nina?"],
  ["a slip in a capability", ["send", "--capability", "jugle", "x"], 5, "Did you mean juggle?"],
  ["a status that is none", ["agents", "--status", "asleep"], 2, "online, offline"],
])("%s is refused in one sentence", async ([_name, argv, code, word]) => {
  await client.agents.register({ agent_id: "nina", capabilities: ["juggle"] });
  const finished = await ksi(...argv);
  expect(finished).toMatchObject({ code, stdout: "" });
  expect(finished.stderr).toContain(word);
  expect(finished.stderr).not.toMatch(/^ +at /m);
});

test("an inbox that is looked at stays as it is, and with --ack its messages are taken once", async () => {
  await client.agents.register({ agent_id: "dan" });
  for (const content of ["one", "two"]) {
    await client.messages.send({ source: "me", target: "dan", event_type: "x.n", payload: { content } });
  }
  for (let look = 0; look < 2; look++)
    expect(payloads((await ksi("inbox", "dan", "--json")).stdout)).toEqual(["one", "two"]);
  expect(payloads((await ksi("inbox", "dan", "--ack", "--json")).stdout)).toEqual(["one", "two"]);
  expect(await ksi("inbox", "dan", "--ack")).toMatchObject({ code: 0, stdout: "" });
  expect((await client.messages.deadLetters({ agent_id: "dan" })).dead_letters).toEqual([]);
  expect(payloads((await ksi("inbox", "dan", "--json")).stdout)).toEqual(["one", "two"]);
  const history = await ksi("messages", "--to", "dan", "--json", "-n", "1");
  expect(payloads(history.stdout)).toEqual(["two"]);
});

test("two terminals that share an inbox divide its messages", async () => {
  await client.agents.register({ agent_id: "eli" });
  const argv = ["inbox", "eli", "-f", "--ack", "--shared", "--json"];
  await using first = start(...argv);
  await using second = start(...argv);
  const both = () => [...payloads(first.text.stdout), ...payloads(second.text.stdout)];
  const areHeard = async (text: string) => {
    await client.messages.send({ source: "me", target: "eli", event_type: "x.n", payload: { content: text } });
    return payloads(first.text.stdout).length > 0 && payloads(second.text.stdout).length > 0;
  };
  let count = 0;
  await until(() => areHeard(String(++count)), { message: "both have been given some" });
  await until(() => both().length === count);
  expect(new Set(both()).size).toBe(count);
  for (const { child, finished } of [first, second]) {
    child.kill("SIGINT");
    expect(await finished).toMatchObject({ code: 0, stderr: "" });
  }
  expect(await ksi("inbox", "eli", "--ack")).toMatchObject({ code: 0, stdout: "" });
});

test("the history is filtered, and begins with the oldest of the latest", async () => {
  await client.agents.register({ agent_id: "fay" });
  for (const [from, type] of [
    ["gus", "x.a"],
    ["gus", "x.b"],
    ["hal", "x.a"],
  ] as const) {
    await ksi(
      "send",
      "--from",
      from,
      "--to",
      "fay",
      "--type",
      type,
      "--correlation-id",
      `c-${from}`,
      `${from} ${type}`,
    );
  }
  const said = async (...argv: string[]) => payloads((await ksi("messages", "--to", "fay", "--json", ...argv)).stdout);
  const filters: [argv: string[], found: string[]][] = [
    [[], ["gus x.a", "gus x.b", "hal x.a"]],
    [
      ["--from", "gus"],
      ["gus x.a", "gus x.b"],
    ],
    [
      ["--type", "x.a"],
      ["gus x.a", "hal x.a"],
    ],
    [
      ["--type", "x.*", "-n", "2"],
      ["gus x.b", "hal x.a"],
    ],
    [["--correlation-id", "c-hal"], ["hal x.a"]],
    [
      ["--agent", "gus"],
      ["gus x.a", "gus x.b"],
    ],
  ];
  await Promise.all(
    filters.map(async ([argv, found]) => expect({ argv, found: await said(...argv) }).toEqual({ argv, found })),
  );
  expect((await ksi("messages", "--from", "hal")).stdout).toMatch(/^\S+ hal → fay +x\.a +hal x\.a\n$/);
  expect((await ksi("messages", "--from", "nobody")).stderr).toBe("No message that is kept is like that.\n");
});

test("dead letters are listed with the reason, put back by their ids or all, and told as events", async () => {
  await client.agents.register({ agent_id: "ida" });
  for (const content of ["hard", "harder"]) {
    await client.messages.send({ source: "me", target: "ida", event_type: "x.n", payload: { content } });
  }
  // Delivered, and not acknowledged; one time is all they have here.
  await until(async () => {
    const stop = new AbortController();
    const loop = client.agents.inbox("ida", { signal: stop.signal })[Symbol.asyncIterator]();
    const next = loop.next();
    const { dead_letters } = await client.messages.deadLetters({ agent_id: "ida" });
    stop.abort();
    await next;
    return dead_letters.length === 2;
  });
  const dead = await ksi("messages", "dead", "ida");
  expect(dead.stdout).toMatch(/^[0-9a-f-]{36} +\S.* +max_deliveries +1 +me +x\.n +hard\n.* harder\n$/);
  const [id = ""] = dead.stdout.split(" ");
  expect(await ksi("messages", "redrive", "ida", id)).toMatchObject({
    stdout: "Put 1 message back into ida's inbox.\n",
  });
  expect(JSON.parse((await ksi("messages", "redrive", "ida", "--json")).stdout)).toEqual({
    status: "redriven",
    redriven: 1,
  });
  expect((await ksi("messages", "dead", "ida")).stderr).toBe("ida has no dead letters.\n");
  expect(payloads((await ksi("inbox", "ida", "--ack", "--json")).stdout)).toEqual(["hard", "harder"]);
  const told = await ksi("events", "--kept", "--agent", "ida", "--type", "message.*", "--type", "agent.joined");
  const types = lines(told.stdout).map((line) => line.split(" ")[1]);
  expect(types[0]).toBe("agent.joined");
  // A message that was put back is delivered anew.
  const expected = { "message.delivered": 4, "message.dead": 2, "message.redriven": 2, "message.acked": 2 };
  for (const [type, count] of Object.entries(expected)) {
    expect({ type, count: types.filter((one) => one === type).length }).toEqual({ type, count });
  }
});

test("events are shown as they happen, those that were asked for", async () => {
  await using watching = start("events", "--type", "state.*", "--json");
  await until(async () => {
    await client.state.set({ namespace: "room", key: "k", value: 1, source: "me" });
    return watching.text.stdout;
  });
  await client.agents.register({ agent_id: "jim" });
  expect(JSON.parse(lines(watching.text.stdout)[0] ?? "")).toMatchObject({ event_type: "state.set", source: "me" });
  watching.child.kill("SIGINT");
  expect(await watching.finished).toMatchObject({ code: 0, stderr: "" });
  expect(watching.text.stdout).not.toContain("agent.");
});

test("a dead letter is one line, which cannot drive the terminal of who reads it", () => {
  const letter: DeadLetter = {
    message: {
      id: "m",
      source: "me",
      event_type: "x.n",
      payload: "a\u001b[31m\nb",
      timestamp: "2026-01-10T12:00:00.000Z",
    },
    reason: "inbox_full",
    deliveries: 0,
    died_at: "2026-01-10T12:00:00.000Z",
  };
  const { out } = createRecordedTerminal({ out: true, err: true });
  expect(formatDeadLetters([letter], out, Date.parse("2026-01-10T12:01:00.000Z")).split("\n")).toEqual([
    "ID  DIED  WHY         TRIES  FROM  TYPE  WHAT",
    "m   1 m   inbox_full  0      me    x.n   a[31m b",
  ]);
});

test("a terminal gets messages under headings, with the day of those that are not of today, and each on one line", () => {
  const message: Message = {
    id: "m",
    source: "alice",
    event_type: "x.n",
    payload: { content: `a\u001b[31m\n${"b".repeat(80)}` },
    timestamp: new Date(2026, 0, 9, 10, 2, 11).toISOString(),
  };
  const answer = {
    ...message,
    source: "bob",
    target: "alice",
    payload: 7,
    timestamp: new Date(2026, 0, 10).toISOString(),
  };
  const { out } = createRecordedTerminal({ out: true, err: true });
  const now = new Date(2026, 0, 10, 12).getTime();
  expect(formatMessages([message, answer], out, now).split("\n")).toEqual([
    "SENT                 FROM   TO        TYPE  WHAT",
    `2026-01-09 10:02:11  alice  everyone  x.n   a[31m ${"b".repeat(80 - 44 - 7)}…`,
    "00:00:00             bob    alice     x.n   7",
  ]);
  const pipe = createRecordedTerminal().out;
  expect(formatMessages([message, answer], pipe, now)).toBe(
    `10:02:11 alice → everyone  x.n  a\u001b[31m\n${"b".repeat(80)}\n00:00:00 bob → alice  x.n  7`,
  );
});
