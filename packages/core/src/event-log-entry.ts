/** What the log delivers, and the places in a channel that its cursors name. */
import type { Entry } from "@ksi/contract";

/** A place in one channel: that of the entry with this number. */
export interface Position {
  readonly epoch: number;
  readonly number: number;
}

/** `undefined` for a cursor that this server cannot have issued. */
export function parseCursor(cursor: string): Position | undefined {
  const dot = cursor.indexOf(".");
  const epoch = Number(cursor.slice(0, dot));
  const number = Number(cursor.slice(dot + 1));
  const isWhole = dot > 0 && Number.isSafeInteger(epoch) && Number.isSafeInteger(number);
  return isWhole ? { epoch, number } : undefined;
}

function formatCursor({ epoch, number }: Position): string {
  return `${epoch}.${number}`;
}

/** Negative where `a` comes before `b`, zero where they are the same place. */
export function comparePositions(a: Position, b: Position): number {
  return a.epoch - b.epoch || a.number - b.number;
}

/** Whether nothing can have been between the two. */
export function isDirectlyAfter(position: Position, earlier: Position): boolean {
  return position.epoch === earlier.epoch && position.number === earlier.number + 1;
}

/** The cursor after which `position` is the next to be delivered. Numbers never start at 0, so there is one. */
export function cursorBefore({ epoch, number }: Position): string {
  return formatCursor({ epoch, number: number - 1 });
}

/**
 * One entry of a channel, shared by all followers of a process. Its event is parsed when somebody first asks for it, and
 * then frozen.
 */
export class StoredEntry<E = unknown> implements Entry<E> {
  readonly cursor: string;
  readonly json: string;
  readonly position: Position;
  #event: E | undefined;

  /** Throws a TypeError for what can be no entry. */
  constructor(cursor: string, json: string) {
    const position = parseCursor(cursor);
    if (!position || !json.startsWith("{") || !json.endsWith("}")) throw new TypeError(`not an entry: ${cursor}`);
    this.cursor = cursor;
    this.json = json;
    this.position = position;
  }

  get event(): E {
    this.#event ??= freeze(JSON.parse(this.json)) as E;
    return this.#event;
  }
}

function freeze(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
}
