import type { Ports } from "@ksi/contract";

type FakedPorts = { [P in keyof Ports]?: Partial<Ports[P]> };

/** Ports whose methods fail unless they are given. */
export function createFakePorts(faked: FakedPorts = {}): Ports {
  const notFaked = () => Promise.reject(new Error("this port is not faked"));
  const listed = { list: notFaked, get: notFaked };
  return {
    runs: { ...listed, spawn: notFaked, result: notFaked, cancel: notFaked, events: notFaked, ...faked.runs },
    sessions: { ...listed, messages: notFaked, delete: notFaked, ...faked.sessions },
    agents: { ...listed, register: notFaked, unregister: notFaked, heartbeat: notFaked, ...faked.agents },
    messages: {
      ...{ send: notFaked, request: notFaked, history: notFaked, inbox: notFaked },
      ...{ sendBatch: notFaked, ack: notFaked, nack: notFaked, deadLetters: notFaked, redrive: notFaked },
      ...faked.messages,
    },
    profiles: { ...listed, ...faked.profiles },
    state: { ...listed, set: notFaked, delete: notFaked, ...faked.state },
    events: { publish: notFaked, subscribe: notFaked, ...faked.events },
    system: { status: notFaked, health: notFaked, shutdown: notFaked, ...faked.system },
  };
}
