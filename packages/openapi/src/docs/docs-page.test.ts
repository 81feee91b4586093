import { expect, test } from "vitest";
import { createDocsPage } from "./docs-page.ts";

const origin = "http://127.0.0.1:8000";

function get(docs: ReturnType<typeof createDocsPage>, path: string, init: RequestInit = {}): Promise<Response> {
  return docs(new Request(origin + path, init));
}

/** What the page asks for when it is opened. */
async function filesOf(page: Response): Promise<string[]> {
  const html = await page.text();
  return [...html.matchAll(/ (?:src|href)="([^"]*)"/g)].map(([, path = ""]) => path);
}

test("the page is there with and without a slash, and so is everything it asks for", async () => {
  const docs = createDocsPage();
  for (const path of ["/docs", "/docs/", "/docs?a=1"]) {
    const page = await get(docs, path);
    expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
    const files = await filesOf(page);
    expect(files.sort()).toEqual([
      "/docs/favicon-32x32.png",
      "/docs/index.css",
      "/docs/initializer.js",
      "/docs/swagger-ui-bundle.js",
      "/docs/swagger-ui.css",
    ]);
    for (const file of files) {
      const { status, headers } = await get(docs, file);
      expect([file, status]).toEqual([file, 200]);
      expect(headers.get("content-type")).toMatch(/^(image\/png|text\/(css|javascript); charset=utf-8)$/);
    }
  }
});

test("it shows the document it was given, lets calls be tried, and asks nobody outside to validate", async () => {
  const docs = createDocsPage({ documentUrl: "/api/openapi.json", path: "/api/docs/", title: '<Zoo> & "more"' });
  const page = await get(docs, "/api/docs");
  expect(await page.clone().text()).toContain("<title>&lt;Zoo&gt; &amp; &quot;more&quot;</title>");
  expect(await filesOf(page)).toContain("/api/docs/initializer.js");
  const script = await (await get(docs, "/api/docs/initializer.js")).text();
  const settings: unknown = JSON.parse(/^SwaggerUIBundle\((.*)\);\n$/.exec(script)?.[1] ?? "");
  expect(settings).toMatchObject({ url: "/api/openapi.json", tryItOutEnabled: true, validatorUrl: null });
});

test("its policy lets it load and call its own origin only, and run no inline script", async () => {
  const page = await get(createDocsPage(), "/docs");
  expect(page.headers.get("content-security-policy")).toBe(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
      "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  );
  expect(page.headers.get("x-content-type-options")).toBe("nosniff");
  expect(await page.text()).not.toMatch(/<script>|https?:|\son\w+=/);
});

test("who has a file already is not sent it again", async () => {
  const docs = createDocsPage();
  for (const path of ["/docs", "/docs/swagger-ui.css"]) {
    const first = await get(docs, path);
    const etag = first.headers.get("etag") ?? "";
    expect(etag).toMatch(/^"[\w-]{22}"$/);
    for (const tag of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
      const again = await get(docs, path, { headers: { "if-none-match": tag } });
      expect([again.status, await again.text(), again.headers.get("etag")]).toEqual([304, "", etag]);
      expect(again.headers.get("cache-control")).toBe("no-cache");
    }
    expect((await get(docs, path, { headers: { "if-none-match": '"other"' } })).status).toBe(200);
  }
});

test("HEAD says the same without a body, other methods and other paths are refused", async () => {
  const docs = createDocsPage();
  const [got, head] = await Promise.all([get(docs, "/docs"), get(docs, "/docs", { method: "HEAD" })]);
  expect([head.status, await head.text()]).toEqual([200, ""]);
  expect(head.headers.get("etag")).toBe(got.headers.get("etag"));
  const posted = await get(docs, "/docs", { method: "POST" });
  expect([posted.status, posted.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  for (const path of [
    "/",
    "/documents",
    "/docs/package.json",
    "/docs/%2e%2e/package.json",
    "/docs//",
    "/docs/index.html",
  ]) {
    const response = await get(docs, path);
    expect([path, response.status, await response.json()]).toMatchObject([path, 404, { error: { code: "NOT_FOUND" } }]);
  }
});
