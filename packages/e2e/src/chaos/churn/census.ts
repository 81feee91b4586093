/**
 * Loaded into a daemon before anything of its own: counts what lives there. The scenario calls `census()` and the
 * others over the inspector, after a garbage collection.
 *
 * Emitters and targets are remembered as they are made, since nothing in Node lists them, and weakly, since what nobody
 * else holds must be free to go.
 */
import { EventEmitter, getEventListeners } from "node:events";
import { Socket } from "node:net";
import { getHeapSpaceStatistics, queryObjects } from "node:v8";

export interface Census {
  /** Of all emitters and of the signals and other event targets. */
  readonly listeners: number;
  readonly emitters: number;
  /** Those that were cleared and that somebody still holds included. */
  readonly timers: number;
  readonly signals: number;
  readonly sockets: number;
  /** What keeps the event loop going: sockets, servers, pipes, child processes. */
  readonly handles: number;
}

/** Come and go with every call, so how many there are says nothing. */
const passing = /Immediate|Timeout|FSReq|WriteWrap|ShutdownWrap|TickObject/;

const emitters = new Set<WeakRef<EventEmitter>>();
const targets = new Map<WeakRef<EventTarget>, Set<string>>();
const knownTargets = new WeakMap<EventTarget, Set<string>>();

/** What the constructor of every emitter calls; Node's own domains hook in here too. */
const base = EventEmitter as unknown as { init(this: EventEmitter, options?: object): void };
const { init } = base;
base.init = function remember(options) {
  init.call(this, options);
  emitters.add(new WeakRef(this));
};

const { addEventListener } = EventTarget.prototype;
EventTarget.prototype.addEventListener = function remember(this: EventTarget, ...args: unknown[]) {
  const [type] = args;
  const types = knownTargets.get(this) ?? new Set();
  if (types.size === 0) {
    knownTargets.set(this, types);
    targets.set(new WeakRef(this), types);
  }
  types.add(String(type));
  return Reflect.apply(addEventListener, this, args);
};

const { constructor: Timeout } = clearedTimer();

Object.assign(globalThis, { census, forgetDead, handles, heldBytes });

/** Else what the census itself keeps of them would be the leak. */
function forgetDead(): void {
  for (const reference of emitters) if (!reference.deref()) emitters.delete(reference);
  for (const reference of targets.keys()) if (!reference.deref()) targets.delete(reference);
}

function census(): Census {
  let listeners = 0;
  for (const reference of emitters) {
    const emitter = reference.deref();
    for (const name of emitter?.eventNames() ?? []) listeners += emitter?.listenerCount(name) ?? 0;
  }
  for (const [reference, types] of targets) {
    const target = reference.deref();
    if (target) for (const type of types) listeners += getEventListeners(target, type).length;
  }
  return {
    listeners,
    emitters: emitters.size,
    timers: queryObjects(Timeout, { format: "count" }),
    signals: queryObjects(AbortSignal, { format: "count" }),
    sockets: queryObjects(Socket, { format: "count" }),
    handles: handles(),
  };
}

function handles(): number {
  return process.getActiveResourcesInfo().filter((name) => !passing.test(name)).length;
}

/**
 * Of objects, and of buffers outside the heap. Not of code: V8 goes on compiling for minutes, and there is only so much to
 * compile, whoever comes.
 */
function heldBytes(): number {
  const ofObjects = getHeapSpaceStatistics().filter(({ space_name }) => !/code|trusted/.test(space_name));
  return ofObjects.reduce((sum, { space_used_size }) => sum + space_used_size, process.memoryUsage().external);
}

function clearedTimer(): NodeJS.Timeout {
  const timer = setTimeout(() => undefined, 0);
  clearTimeout(timer);
  return timer;
}
