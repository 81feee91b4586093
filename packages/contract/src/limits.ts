/** Every limit of the wire, in one place. Bytes are of UTF-8, times in milliseconds. */
export const limits = {
  /** Characters of a prompt. The CLI takes more, but a megabyte of prompt is a file that should be read by a tool. */
  promptChars: 1_000_000,
  systemPromptChars: 100_000,
  /** Images of one prompt, and bytes of one once decoded: what the Anthropic API takes. All have to fit into a body. */
  images: 20,
  imageBytes: 5_000_000,
  /** Bytes of `metadata`, `output_schema` and other free JSON beside a payload. */
  jsonBytes: 65_536,
  /** Levels of arrays and objects in free JSON. Far deeper, an answer that holds it could not be checked any more. */
  jsonDepth: 100,
  /** Bytes of one message's or published event's payload. */
  payloadBytes: 262_144,
  /** Bytes of one broadcast in all inboxes together: each keeps a copy, and Redis does nothing else meanwhile. */
  broadcastBytes: 268_435_456,
  /** Entries of a page. */
  pageMax: 500,
  pageDefault: 50,
  /** A run's time limit: default as the predecessor's clients waited, at most a day. */
  runTimeoutMsDefault: 300_000,
  runTimeoutMsMax: 86_400_000,
  /** How long a cancelled agent may be given to leave by itself. */
  cancelGraceMsMax: 30_000,
  /** How long `runs.result` may hold a request. Below the idle limit of common proxies (60 s). */
  waitMsDefault: 30_000,
  waitMsMax: 55_000,
  /** How long a message or a key of the shared state may say that it lives: a year. */
  ttlMsMax: 31_536_000_000,
  /** How long `messages.request` may wait for the answer. */
  requestMsDefault: 30_000,
  requestMsMax: 600_000,
  /** How long a message that was not dealt with may be kept back. */
  nackDelayMsMax: 3_600_000,
  /** Messages of one `messages.sendBatch`. All have to fit into a body. */
  batchMessages: 500,
  /** Messages that one consumer of a shared inbox may hold unacknowledged. */
  prefetchDefault: 100,
  prefetchMax: 1_000,
  /** Bytes of an HTTP body or a WebSocket frame. Room for a full prompt in escaped JSON. */
  bodyBytes: 8_388_608,
} as const;
