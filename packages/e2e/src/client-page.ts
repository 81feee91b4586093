/** A front-end: the client bundled for browsers, on a page of an origin of its own. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "rolldown";

export interface ClientBundle {
  /** A module with what `@ksi/client` exports. */
  readonly code: string;
  /** The files that it was made of. */
  readonly files: readonly string[];
  /** What it would still load by name, such as `node:crypto`. */
  readonly imports: readonly string[];
}

export interface ClientPage extends AsyncDisposable {
  readonly origin: string;
}

/** As a build for browsers does it, minified. Rejects where something cannot be found without Node. */
export async function bundleClient(): Promise<ClientBundle> {
  const { output } = await build({
    input: fileURLToPath(import.meta.resolve("@ksi/client")),
    platform: "browser",
    write: false,
    output: { format: "esm", minify: true, codeSplitting: false },
    onLog: (_level, { message }) => {
      throw new Error(`the bundler complains: ${message}`);
    },
  });
  const [{ code, moduleIds, imports }] = output;
  return { code, files: moduleIds, imports };
}

/** A page that has the client as `ksiClient`, and its state in the attribute `data-client` of its body. */
export async function startClientPage({ code }: ClientBundle): Promise<ClientPage> {
  const server = createServer(({ url }, response) => {
    if (url === "/client.js") response.setHeader("content-type", "text/javascript").end(code);
    else if (url === "/") response.setHeader("content-type", "text/html").end(html);
    else response.writeHead(204).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

const html = `<!doctype html>
<title>A page that follows a run</title>
<p id="connection">idle</p>
<ol id="run"></ol>
<ol id="firehose"></ol>
<script type="module">
  import * as client from "./client.js";
  globalThis.ksiClient = client;
  document.body.dataset.client = "loaded";
</script>
`;
