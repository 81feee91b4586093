/** Sends what no client library would send, and reads what comes. */
import { Agent, type ClientRequest, type IncomingMessage, request as openRequest } from "node:http";

export interface ApiRequest {
  readonly method: string;
  /** As it stands in the request's first line: nothing is normalized. */
  readonly path: string;
  /** Those that are undefined are not sent. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body?: string | Uint8Array;
  /** Without a `content-length`. */
  readonly isChunked?: boolean;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** How long an event stream that does not end is read. */
const streamMs = 60;
const deadlineMs = 20_000;
const shared = new Agent({ keepAlive: true });

/** The streams of `/v1` are read to their end, which they have. */
export function send(origin: string, { method, path, headers, body, isChunked }: ApiRequest): Promise<Answer> {
  const { hostname, port } = new URL(origin);
  const length = body === undefined || isChunked ? undefined : String(Buffer.byteLength(body));
  const all = Object.entries({ ...headers, "content-length": length });
  const sent = Object.fromEntries(all.filter(([, value]) => value !== undefined));
  const request = openRequest({ agent: shared, hostname, port, method, path, headers: sent });
  const answered = readAnswer(request, path.startsWith("/api/")).catch((cause: Error) => {
    throw new Error(`No answer to ${method} ${path} ${String(body).slice(0, 100)}: ${cause.message}`, { cause });
  });
  if (body !== undefined && isChunked) request.write(body);
  request.end(isChunked ? undefined : body);
  return answered;
}

function readAnswer(request: ClientRequest, isCut: boolean): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => request.destroy(new Error(`no answer within ${deadlineMs} ms`)), deadlineMs);
    const settle = (answer: Answer) => {
      clearTimeout(timer);
      resolve(answer);
    };
    // An answer that came before the whole body was sent is an answer, whatever happens to the rest.
    request.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    request.on("response", (response) => {
      let text = "";
      const finish = () => settle({ status: response.statusCode ?? 0, headers: headersOf(response), body: text });
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", finish).on("error", finish);
      if (!isCut || response.headers["content-type"] !== "text/event-stream") return;
      setTimeout(() => {
        finish();
        response.destroy();
      }, streamMs);
    });
  });
}

function headersOf({ headers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}
