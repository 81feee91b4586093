import { connect } from "node:net";

const answerDeadlineMs = 500;

/**
 * The first line that the Redis on a socket answers to a command without arguments, `""` when something listens but
 * does not answer in half a second (it is loading, or going down), undefined when nothing listens. Never throws.
 *
 * A full client would take longer to load and to connect than Redis takes to start.
 */
export function askRedis(socketPath: string, command: "PING" | "SHUTDOWN"): Promise<string | undefined> {
  return new Promise((resolve) => {
    let isListening = false;
    const socket = connect(socketPath, () => {
      isListening = true;
      socket.write(`${command}\r\n`);
    });
    const finish = (answer: string | undefined) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(answerDeadlineMs, () => finish(isListening ? "" : undefined));
    socket.once("data", (data) => finish(data.toString("latin1").split("\r\n", 1)[0]));
    socket.once("error", () => finish(isListening ? "" : undefined));
    socket.once("close", () => finish(isListening ? "" : undefined));
  });
}
