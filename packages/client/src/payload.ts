/** What a program may give as a payload or a value: all that is JSON, by whatever types it is described. */
import type { Json } from "@ksi/contract";

/**
 * `T` where JSON can carry it. Unlike `Json` it takes interfaces, and properties that may be undefined, which are left
 * out as `JSON.stringify` does. What JSON lacks (a Date, a Map, a function, a bigint) does not compile.
 */
export type JsonCompatible<T> = T extends Json
  ? T
  : T extends bigint | symbol | undefined | ((...args: never[]) => unknown)
    ? never
    : { [K in keyof T]: JsonCompatible<Exclude<T[K], undefined>> | Extract<T[K], undefined> };

/** The same for what bounds the type parameter of a function that gives it; what is no object at all is not checked. */
export type JsonMembers<T> = { [K in keyof T]: JsonCompatible<T[K]> };

/** One of these for each payload, in their order. */
export type WithPayloads<Input extends { payload: Json }, Payloads extends readonly unknown[]> = {
  readonly [I in keyof Payloads]: WithPayload<Input, Payloads[I]>;
};

/** The same input, with a payload of this type, which must be JSON. */
export type WithPayload<Input extends { payload: Json }, Payload> = Omit<Input, "payload"> & {
  payload: Payload & JsonCompatible<Payload>;
};
