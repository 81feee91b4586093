/** OpenAI-compatible routes on KSI's ports, and the shapes that they take and give. */
export {
  type ChatCompletion,
  type ChatCompletionChunk,
  type ChatCompletionRequest,
  chatCompletion,
  chatCompletionChunk,
  chatCompletionRequest,
  type Model,
  type ModelList,
  model,
  modelList,
  type OpenAiError,
  openAiError,
} from "./chat-schemas.ts";
export { type OpenAiErrorOptions, type OpenAiErrorRow, openAiErrorResponse, openAiErrors } from "./errors.ts";
export type { OpenAiOptions } from "./options.ts";
export { createOpenAiRoutes, type PortsSource } from "./routes.ts";
