import { expect, test } from "vitest";
import { connectPlainSocket } from "./testing/plain-socket.ts";
import { createTestClient, startTestDoors } from "./testing/test-doors.ts";

test("what is wrong with an input is said in plain words, and in the same ones on every surface", async () => {
  await using doors = await startTestDoors();
  const headers = { authorization: `Bearer ${doors.token}`, "content-type": "application/json" };
  const post = async (path: string, body: object) =>
    (await fetch(doors.url + path, { method: "POST", headers, body: JSON.stringify(body) })).json();
  const sentence = "prompt: is missing; tools: must be an array; cwd: must not be empty; priority: must be at most 100";
  const wrong = { tools: "Read", priority: 101, cwd: "" };

  expect(await post("/api/v1/spawn", wrong)).toMatchObject({ error: { code: "INVALID_INPUT", message: sentence } });
  const overHttp = await post("/trpc/runs.spawn", { json: wrong });
  expect(overHttp).toMatchObject({ error: { json: { data: { ksi: { code: "INVALID_INPUT", message: sentence } } } } });
  await using client = createTestClient({ url: doors.url, token: doors.token, overSocket: true });
  await expect(client.trpc.runs.spawn.mutate(wrong as never)).rejects.toThrow(sentence);

  const choice = 'from: must be one of "oldest", "now"';
  const events = await fetch(`${doors.url}/api/v1/events?from=tomorrow`, { headers });
  expect(await events.json()).toMatchObject({ error: { message: choice } });
  const { frames, closed } = connectPlainSocket(`${doors.plainUrl}?from=tomorrow`, { headers });
  await closed;
  expect(frames).toMatchObject([{ error: { message: choice } }]);

  const ask = async (body: object) => (await post("/v1/chat/completions", { model: "echo", ...body })).error.message;
  expect(await ask({})).toBe("messages: is missing");
  const content = (value: unknown) => ({ messages: [{ role: "user", content: value }] });
  expect(await ask(content(7))).toBe("messages[0].content: must be a string or an array");
  expect(await ask(content([{ type: "text" }]))).toBe("messages[0].content[0].text: is missing");
  expect(await ask({ ...content("hi"), stream: "yes" })).toBe("stream: must be true or false");
});

test("fields that exclude or need each other are refused by name, over REST as 422 and over tRPC as BAD_REQUEST", async () => {
  await using doors = await startTestDoors();
  const headers = { authorization: `Bearer ${doors.token}`, "content-type": "application/json" };
  const message = { source: "alice", event_type: "HELLO", payload: null };
  const both = { ...message, target: "bob", capability: ["review"] };
  const twice = { path: "capability", message: "must not be given together with target" };
  const nobody = { path: "target", message: expect.stringMatching(/^must be given, or a capability/) };
  const refused = [
    ["/api/v1/messages", "messages.send", both, twice],
    ["/api/v1/messages/request", "messages.request", both, twice],
    ["/api/v1/messages/request", "messages.request", message, nobody],
  ] as const;
  for (const [path, procedure, input, issue] of refused) {
    const post = (to: string, body: object) =>
      fetch(doors.url + to, { method: "POST", headers, body: JSON.stringify(body) });
    const overRest = await post(path, input);
    expect([overRest.status, await overRest.json()]).toMatchObject([
      422,
      { error: { code: "INVALID_INPUT", issues: [issue] } },
    ]);
    const overTrpc = await post(`/trpc/${procedure}`, { json: input });
    const data = { code: "BAD_REQUEST", ksi: { code: "INVALID_INPUT", details: { issues: [issue] } } };
    expect([overTrpc.status, await overTrpc.json()]).toMatchObject([400, { error: { json: { data } } }]);
  }
});

test("an input that is no object is said to be none", async () => {
  await using doors = await startTestDoors();
  const headers = { authorization: `Bearer ${doors.token}`, "content-type": "application/json" };
  const answer = await fetch(`${doors.url}/api/v1/spawn`, { method: "POST", headers, body: "[]" });
  expect(await answer.json()).toMatchObject({
    error: { message: "The input must be an object", issues: [{ path: "", message: "must be an object" }] },
  });
});
