import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { Socket } from "node:net";
import { until } from "@ksi/testing";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { startTestDoors } from "./testing/test-doors.ts";

test("the first answer of a turn goes at once, and all others of that turn are one more write", async () => {
  await using doors = await startTestDoors({ ports: { agents: { list: async () => ({ agents: [] }) } } });
  using accepted = countWrites();
  const socket = new WebSocket(doors.socketUrl, { headers: { authorization: `Bearer ${doors.token}` } });
  await once(socket, "open");
  const answered: number[] = [];
  socket.on("message", (data) => answered.push(JSON.parse(String(data)).id));

  const before = accepted.writes;
  const ids = Array.from({ length: 50 }, (_, id) => id);
  socket.send(JSON.stringify(ids.map(listAgents)));
  await until(() => answered.length === ids.length, { message: "all calls are answered" });
  expect(answered).toEqual(ids);
  expect(accepted.writes - before).toBe(2);

  socket.send(JSON.stringify([listAgents(50)]));
  await until(() => answered.length === ids.length + 1, { message: "a call by itself is answered" });
  expect(accepted.writes - before).toBe(3);
  socket.close();
});

function listAgents(id: number): object {
  return { id, method: "query", params: { path: "agents.list", input: { json: {} } } };
}

/** Of all sockets that are accepted from now on, as the network is given them. */
function countWrites(): Disposable & { readonly writes: number } {
  let writes = 0;
  const watch = (message: unknown) => {
    const socket = typeof message === "object" && message && "socket" in message ? message.socket : undefined;
    if (!(socket instanceof Socket)) return;
    const { _write, _writev } = socket;
    socket._write = (...args) => {
      writes += 1;
      _write.apply(socket, args);
    };
    socket._writev = (...args) => {
      writes += 1;
      _writev?.apply(socket, args);
    };
  };
  subscribe("net.server.socket", watch);
  return {
    get writes() {
      return writes;
    },
    [Symbol.dispose]: () => unsubscribe("net.server.socket", watch),
  };
}
