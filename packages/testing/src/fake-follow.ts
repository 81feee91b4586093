interface FakeEntry<E> {
  cursor: string;
  event: E;
}

/** A follow, as ports give it, of a channel that holds what the generator yields, each entry a batch of its own. */
export function createFakeFollow<E>(channel: string, generate: () => AsyncIterable<FakeEntry<E>>) {
  async function* entries() {
    for await (const entry of generate()) yield { ...entry, json: JSON.stringify(entry.event) };
  }
  async function* batches() {
    for await (const entry of entries()) yield [entry];
  }
  return { channel, batches, [Symbol.asyncIterator]: entries };
}
