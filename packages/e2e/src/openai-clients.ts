/** A daemon with a scripted agent behind `/v1`, and clients that others wrote, pointed at it. */
import { createOpenAICompatible, type OpenAICompatibleProvider } from "@ai-sdk/openai-compatible";
import { type Run, schemas } from "@ksi/contract";
import { type ClaudeStandIn, createClaudeStandIn, type DaemonProcess } from "@ksi/testing";
import { ChatOpenAI, type ChatOpenAIFields } from "@langchain/openai";
import OpenAI, { type ClientOptions } from "openai";
import { type LiveDaemon, startLiveDaemon } from "./live-daemon.ts";

// LangChain reports to its maker where the environment says so. The AI SDK reports only to what is registered with it.
for (const name of ["LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2", "LANGSMITH_TRACING", "LANGCHAIN_TRACING"]) {
  process.env[name] = "false";
}

export interface ScriptedDaemon extends LiveDaemon {
  readonly claude: ClaudeStandIn;
}

/** A daemon whose `claude` is the stand-in. It stops without waiting for agents, of which many here never end. */
export async function startScriptedDaemon(env: Record<string, string> = {}): Promise<ScriptedDaemon> {
  await using stack = new AsyncDisposableStack();
  const claude = stack.use(await createClaudeStandIn());
  const live = stack.use(
    await startLiveDaemon({ env: { KSI_CLAUDE_BIN: claude.bin, KSI_DRAIN_TIMEOUT_MS: "0", ...env } }),
  );
  const owned = stack.move();
  return { ...live, claude, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

type Address = Pick<DaemonProcess, "url" | "token">;

export function connectOpenAi({ url, token }: Address, options: ClientOptions = {}): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: token, ...options });
}

export function connectAiSdk({ url, token }: Address): OpenAICompatibleProvider {
  const baseURL = `${url}/v1`;
  return createOpenAICompatible({
    name: "ksi",
    baseURL,
    apiKey: token,
    supportsStructuredOutputs: true,
    includeUsage: true,
  });
}

/** Tries once unless told otherwise: of itself it repeats a failed turn six times. */
export function connectLangChain({ url, token }: Address, fields: ChatOpenAIFields = {}): ChatOpenAI {
  const configuration = { baseURL: `${url}/v1` };
  return new ChatOpenAI({ model: "sonnet", apiKey: token, configuration, maxRetries: 0, ...fields });
}

/** The runs of a session, newest first, as REST lists them. */
export async function listRuns(daemon: Address, sessionId: string): Promise<Run[]> {
  return schemas.runsPage.parse(await askRest(daemon, `/api/v1/runs?session_id=${sessionId}`)).runs;
}

export async function getRun(daemon: Address, runId: string): Promise<Run> {
  return schemas.run.parse(await askRest(daemon, `/api/v1/runs/${runId}`));
}

async function askRest({ url, token }: Address, path: string): Promise<unknown> {
  const response = await fetch(url + path, { headers: { authorization: `Bearer ${token}` } });
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
  return await response.json();
}

/** Rejects when it takes longer than 20 s, so that a test which fails still ends what it has started. */
export async function soon<T>(promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("not within 20,000 ms")), 20_000);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
