/**
 * An event stream that ends when the daemon closes, which would otherwise wait for clients that mean to listen for
 * ever. It ends in peace, and a client takes it up again after its last cursor. Other answers stay as they are.
 */
export function endOnClose(response: Response, closing: AbortSignal): Response {
  if (!response.body || !response.headers.get("content-type")?.startsWith("text/event-stream")) return response;
  const reader = response.body.getReader();
  // A read that waits is told that there is nothing more.
  const end = () => void reader.cancel().catch(() => undefined);
  const leave = () => closing.removeEventListener("abort", end);
  if (closing.aborted) end();
  else closing.addEventListener("abort", end, { once: true });
  reader.closed.then(leave, leave);

  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    // Nothing is taken before the client has room for it.
    { highWaterMark: 0 },
  );
  return new Response(body, response);
}
