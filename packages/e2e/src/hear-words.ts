import type { Dictation } from "./held-daemon.ts";
import { soon } from "./openai-clients.ts";

/**
 * Has an agent say each word only when the one before has come out of the stream, and gives what came, up to one more after
 * the last. It rejects where a word is held back for ten seconds.
 *
 * @param open is called when the first word was said, since some streams open with it
 * @param beforeEnd is called while the agent has still to say that it is done
 */
export async function hearWords(
  turn: Dictation,
  words: readonly [string, ...string[]],
  open: () => AsyncIterable<string> | Promise<AsyncIterable<string>>,
  beforeEnd: () => Promise<void> = async () => {},
): Promise<string[]> {
  const [first, ...others] = words;
  await turn.say(first);
  const stream = await open();
  const deltas = stream[Symbol.asyncIterator]();
  const heard: string[] = [];
  const hear = async () => {
    const { done, value } = await soon(deltas.next());
    if (!done) heard.push(value);
  };
  await hear();
  for (const word of others) {
    await turn.say(word);
    await hear();
  }
  await beforeEnd();
  await turn.finish();
  await hear();
  return heard;
}
