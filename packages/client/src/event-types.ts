/** Which events a filter lets through, as types. */
import type { CustomEvent, EventFilter, KsiEvent } from "@ksi/contract";

/** A filter whose `types` are known when the program is compiled. */
export type FilterOf<Type extends string> = Omit<EventFilter, "types"> & { types?: readonly Type[] | undefined };

/**
 * The events of these types and patterns (`run.*`). A type that is none of KSI's own is that of a message or a published
 * event.
 */
export type EventOf<Type extends string> = string extends Type ? KsiEvent : Matching<Type>;

type Matching<Type extends string> = Type extends "*" ? KsiEvent : Known<NamesOf<Type>>;

/** `run.*` stands for all that begin with `run.` */
type NamesOf<Type extends string> = Type extends `${infer Beginning}*` ? `${Beginning}${string}` : Type;

type Known<Name extends string> = [Named<KsiEvent, Name>] extends [never] ? CustomEvent : Named<KsiEvent, Name>;

type Named<Event extends KsiEvent, Name extends string> = Event extends { event_type: infer Own }
  ? Own extends Name
    ? Event
    : Name extends Own
      ? Event
      : never
  : never;
