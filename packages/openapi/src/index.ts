/** Any tRPC 11 router as REST, with its OpenAPI document and a page that shows it. Knows nothing of KSI. */

// The docs page.
export { createDocsPage, type DocsPageOptions } from "./docs/docs-page.ts";
// The document.
export {
  createOpenApiDocument,
  type DescribedAnswer,
  type DescribedOperation,
  type ErrorBody,
  type OpenApiDocument,
  type OpenApiDocumentOptions,
  type OperationExamples,
  type ProcedureNotes,
  type SchemaTexts,
} from "./document/document.ts";
// The handler.
export type { CreateContextOptions } from "./rest/call.ts";
export { formatTrpcError, inputIssues, type RestError, type RestFailure, type RestIssue } from "./rest/failure.ts";
export type { OpenApiFailure } from "./rest/failure-report.ts";
export { createOpenApiHandler, type OpenApiHandlerOptions } from "./rest/handler.ts";
export {
  listOperations,
  type OpenApiMeta,
  type OpenApiMethod,
  type OpenApiOperationMeta,
  type Operation,
} from "./rest/operations.ts";
export { readBytes } from "./rest/read-bytes.ts";
