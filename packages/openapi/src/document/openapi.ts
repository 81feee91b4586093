/** The parts of an OpenAPI 3.1 document that are written here. */

export interface OpenApiDocument {
  openapi: "3.1.1";
  info: Info;
  servers: Server[];
  security: SecurityRequirement[];
  tags?: Tag[];
  paths: Record<string, PathItem>;
  webhooks?: Record<string, PathItem>;
  components: Components;
}

export interface Info {
  title: string;
  version: string;
  summary?: string;
  /** May hold Markdown, as every description. */
  description?: string;
  license?: { name: string; identifier?: string; url?: string };
  contact?: { name?: string; url?: string; email?: string };
}

export interface Server {
  /** May be relative to where the document is: `/` is the origin that serves it. */
  url: string;
  description?: string;
}

export interface Tag {
  name: string;
  description?: string;
}

/** Names of security schemes and the scopes that are needed; several names in one are needed together. */
export type SecurityRequirement = Record<string, string[]>;

export type SecurityScheme =
  | { type: "http"; scheme: string; bearerFormat?: string; description?: string }
  | { type: "apiKey"; in: "query" | "header" | "cookie"; name: string; description?: string };

export type LowerMethod = "get" | "post" | "put" | "patch" | "delete";
export type PathItem = { [M in LowerMethod]?: OperationObject };

export interface OperationObject {
  operationId: string;
  summary?: string;
  description?: string;
  tags?: string[];
  deprecated?: true;
  security?: SecurityRequirement[];
  parameters?: Parameter[];
  requestBody?: RequestBody;
  /** By status. */
  responses: Record<string, ResponseObject | Reference>;
}

export interface Parameter {
  name: string;
  in: "path" | "query" | "header";
  required?: true;
  deprecated?: true;
  description?: string;
  style?: "form" | "deepObject";
  explode?: boolean;
  schema: JsonSchema;
  examples?: Record<string, Example>;
}

export interface RequestBody {
  description?: string;
  required?: true;
  content: Record<string, MediaType>;
}

export interface ResponseObject {
  description: string;
  headers?: Record<string, { description?: string; required?: true; schema: JsonSchema }>;
  content?: Record<string, MediaType>;
}

export interface MediaType {
  schema: JsonSchema;
  examples?: Record<string, Example>;
}

export interface Example {
  summary?: string;
  description?: string;
  value: unknown;
}

export interface Components {
  schemas?: Record<string, JsonSchema>;
  responses?: Record<string, ResponseObject>;
  securitySchemes?: Record<string, SecurityScheme>;
}

export interface Reference {
  $ref: string;
}

/** JSON Schema 2020-12, as far as it is looked into here. */
export interface JsonSchema {
  $ref?: string;
  type?: string | string[];
  title?: string;
  description?: string;
  deprecated?: boolean;
  default?: unknown;
  examples?: unknown[];
  properties?: Record<string, JsonSchema>;
  required?: string[];
  additionalProperties?: JsonSchema | boolean;
  propertyNames?: JsonSchema;
  items?: JsonSchema | boolean;
  oneOf?: JsonSchema[];
  anyOf?: JsonSchema[];
  allOf?: JsonSchema[];
  discriminator?: { propertyName: string; mapping: Record<string, string> };
  [keyword: string]: unknown;
}

/** A schema that has not been taken apart: what it refers to is under `$defs`, by its name if it has one. */
export interface PlainJsonSchema extends JsonSchema {
  $defs?: Record<string, JsonSchema>;
}
