/** Why the daemon closes a socket, beside the codes of RFC 6455 (1002 malformed frame, 1009 frame too large). */
export const closeCodes = {
  /** Everything was said: on `/ws`, after the final event of a run. */
  done: 1000,
  /** The daemon is stopping; reconnect and resume. */
  restarting: 1012,
  /** The token is missing or wrong; reconnecting with the same one is useless. */
  unauthorized: 4401,
  /** The announced connectionParams did not come. */
  connectionParamsTimeout: 4408,
  /** The key has as many sockets as it may have. */
  tooManySockets: 4429,
} as const;

/** On `/ws` an error closes the socket with this and its REST status: 4404 for what is not there. */
export const errorCloseBase = 4_000;
