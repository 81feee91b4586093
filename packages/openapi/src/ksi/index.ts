/** KSI's own REST surface: the handler of its procedures, its errors, and its OpenAPI document. */
export { createKsiDocument, type KsiDocumentOptions } from "./document.ts";
export { errorResponse, toRestFailure } from "./error-response.ts";
export { readKsiDocument } from "./read-document.ts";
export { createRestHandler, type KsiRestHandlerOptions } from "./rest-handler.ts";
export { restStatuses } from "./statuses.ts";
