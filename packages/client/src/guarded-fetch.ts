/** `fetch` that says in a KsiError's words what is wrong where there is no KSI daemon, or something stands before it. */
import { type ErrorCode, KsiError } from "@ksi/contract/errors";

export type Fetch = typeof globalThis.fetch;

/** tRPC passes a RequestInit of its own, wider than the platform's by an explicit `undefined`. */
export type GuardedFetch = (input: RequestInfo | URL, init?: object) => Promise<Response>;

export function createGuardedFetch(url: URL, fetch: Fetch = globalThis.fetch): GuardedFetch {
  return async (input, init: RequestInit = {}) => {
    const response = await fetch(input, init).catch((cause: unknown) => {
      if (init.signal?.aborted) throw cause;
      throw new KsiError(
        "CONNECTION_LOST",
        `No KSI daemon can be reached at ${url.origin}. Start one with \`ksi serve\` or \`npm start\`, or check the url.${ofPage()}`,
        { cause },
      );
    });
    if (isJson(response)) {
      if (!response.ok) await throwRefusal(response);
      return response;
    }
    throw new KsiError(codeOfStatus[response.status] ?? "CONNECTION_LOST", explain(url, response.status));
  };
}

function isJson(response: Response): boolean {
  return response.headers.get("content-type")?.includes("json") ?? false;
}

/** What the daemon refuses before tRPC is reached (a foreign Host, a body too large) has REST's shape of an error. */
async function throwRefusal(response: Response): Promise<void> {
  const body: unknown = await response.clone().json();
  const error = typeof body === "object" && body !== null && "error" in body ? body.error : undefined;
  const refusal = KsiError.from(error);
  if (refusal.code !== "INTERNAL") throw refusal;
}

/** What proxies answer by themselves, in HTML or plain text. */
const codeOfStatus: Record<number, ErrorCode> = {
  401: "UNAUTHORIZED",
  403: "FORBIDDEN",
  413: "PAYLOAD_TOO_LARGE",
  429: "RATE_LIMITED",
};

function explain(url: URL, status: number): string {
  const isProxy = codeOfStatus[status] || status >= 500;
  if (isProxy) return `${url.origin} answered ${status}, and not KSI itself: see what stands before the daemon.`;
  return `${url.origin} answered ${status}, but not as a KSI daemon does: check the url.`;
}

/** A browser hides from a page why a request failed; that the daemon does not know the page is the likeliest reason. */
function ofPage(): string {
  const { origin } = (globalThis as { location?: { origin?: string } }).location ?? {};
  return origin ? ` If it runs, ${origin} must be one of its allowed_origins.` : "";
}
