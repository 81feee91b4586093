/** Acknowledgements of one tick travel in one call. */

/** What one call of `messages.ack` takes. */
const maxIds = 500;

/** Gives a function that acknowledges one message, and settles when it is acknowledged. */
export function createAcks(send: (ids: string[]) => Promise<unknown>): (id: string) => Promise<void> {
  let batch: { ids: string[]; sent: Promise<void> } | undefined;

  function openBatch() {
    const ids: string[] = [];
    const sent = new Promise((resolve) => setTimeout(resolve)).then(async () => {
      if (batch?.ids === ids) batch = undefined;
      await send(ids);
    });
    return { ids, sent };
  }

  return (id) => {
    if (!batch || batch.ids.length === maxIds) batch = openBatch();
    batch.ids.push(id);
    return batch.sent;
  };
}
