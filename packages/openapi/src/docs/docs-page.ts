/** Swagger UI for an OpenAPI document, with nothing from outside: no font, no validator, no inline script. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

export interface DocsPageOptions {
  /** Where the document is, of the same origin. Default: `/openapi.json`. */
  readonly documentUrl?: string;
  /** Where the page is. Default: `/docs`. */
  readonly path?: `/${string}`;
  /** Default: `API`. */
  readonly title?: string;
}

/**
 * A fetch handler for GET and HEAD of the page at `path`, with or without a slash at its end, and of its files below it.
 * Anything else is answered 404, other methods 405, with a body like those of `createOpenApiHandler`.
 *
 * Answers have an ETag and are revalidated (304). The page may load and call its own origin only. A token that is given
 * to "Authorize" is kept in the page's memory, and gone with it. Files are read with the first request for them.
 */
export function createDocsPage(options: DocsPageOptions = {}): (request: Request) => Promise<Response> {
  const { documentUrl = "/openapi.json", title = "API" } = options;
  const path = (options.path ?? "/docs").replace(/\/$/, "");
  const files = listFiles({ documentUrl, path, title });

  return async ({ url, method, headers }) => {
    const { pathname } = new URL(url);
    const name = pathname === path ? "/" : pathname.startsWith(`${path}/`) ? pathname.slice(path.length) : undefined;
    const file = name === undefined ? undefined : files.get(name);
    if (!file) return refusal(404, "NOT_FOUND", `There is nothing at ${pathname}.`);
    if (method !== "GET" && method !== "HEAD") {
      return refusal(405, "METHOD_NOT_SUPPORTED", `${pathname} is served by GET and HEAD.`, { allow: "GET, HEAD" });
    }
    const { body, etag } = await file.read();
    const answered = { ...commonHeaders, etag, "content-type": file.type };
    if (isKnown(headers.get("if-none-match"), etag)) return new Response(null, { status: 304, headers: answered });
    return new Response(method === "HEAD" ? null : body, { headers: answered });
  };
}

const commonHeaders = {
  "cache-control": "no-cache",
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    // Swagger UI sets style attributes.
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; "),
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

interface PageFile {
  readonly type: string;
  /** The same every time. */
  read(): Promise<{ body: Uint8Array<ArrayBuffer>; etag: string }>;
}

function listFiles(page: PageFacts): Map<string, PageFile> {
  return new Map([
    ["/", toFile("text/html; charset=utf-8", async () => new TextEncoder().encode(toHtml(page)))],
    ["/initializer.js", toFile("text/javascript; charset=utf-8", async () => new TextEncoder().encode(toScript(page)))],
    ["/index.css", ofSwaggerUi("index.css", "text/css; charset=utf-8")],
    ["/swagger-ui.css", ofSwaggerUi("swagger-ui.css", "text/css; charset=utf-8")],
    ["/swagger-ui-bundle.js", ofSwaggerUi("swagger-ui-bundle.js", "text/javascript; charset=utf-8")],
    ["/favicon-32x32.png", ofSwaggerUi("favicon-32x32.png", "image/png")],
  ]);
}

const require = createRequire(import.meta.url);

function ofSwaggerUi(name: string, type: string): PageFile {
  const folder = dirname(require.resolve("swagger-ui-dist/package.json"));
  return toFile(type, async () => new Uint8Array(await readFile(join(folder, name))));
}

function toFile(type: string, load: () => Promise<Uint8Array<ArrayBuffer>>): PageFile {
  let loaded: ReturnType<PageFile["read"]> | undefined;
  const read = async () => {
    const body = await load();
    return { body, etag: `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"` };
  };
  return {
    type,
    read() {
      loaded ??= read().catch((thrown: unknown) => {
        loaded = undefined;
        throw thrown;
      });
      return loaded;
    },
  };
}

interface PageFacts {
  readonly documentUrl: string;
  readonly path: string;
  readonly title: string;
}

function toHtml({ path, title }: PageFacts): string {
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>${escapeHtml(title)}</title>
  <link rel="icon" type="image/png" href="${escapeHtml(path)}/favicon-32x32.png" sizes="32x32">
  <link rel="stylesheet" href="${escapeHtml(path)}/swagger-ui.css">
  <link rel="stylesheet" href="${escapeHtml(path)}/index.css">
</head>
<body>
  <div id="swagger-ui"></div>
  <script src="${escapeHtml(path)}/swagger-ui-bundle.js"></script>
  <script src="${escapeHtml(path)}/initializer.js"></script>
</body>
</html>
`;
}

/** A file of its own, since the page runs no inline script. */
function toScript({ documentUrl }: PageFacts): string {
  const settings = {
    url: documentUrl,
    dom_id: "#swagger-ui",
    deepLinking: true,
    tryItOutEnabled: true,
    displayRequestDuration: true,
    // With the default it would send the document to a service on the internet.
    validatorUrl: null,
  };
  return `SwaggerUIBundle(${JSON.stringify(settings)});\n`;
}

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => entities[character] ?? "");
}

/** Whether If-None-Match has this tag; proxies that compress make weak ones of them. */
function isKnown(ifNoneMatch: string | null, etag: string): boolean {
  const tags = ifNoneMatch?.split(",").map((tag) => tag.trim().replace(/^W\//, "")) ?? [];
  return tags.includes(etag) || tags.includes("*");
}

function refusal(status: number, code: string, message: string, headers: Record<string, string> = {}): Response {
  return Response.json({ error: { code, message } }, { status, headers });
}
