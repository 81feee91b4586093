/**
 * REST with types that openapi-typescript writes from the OpenAPI document (`npm run build` makes api.ts). Its flag
 * `--default-non-nullable=false` is there so that fields with a default can be left out.
 */
import createClient from "openapi-fetch";
import type { paths } from "./api.ts";

const api = createClient<paths>({
  baseUrl: process.env.KSI_URL ?? "http://127.0.0.1:8000",
  headers: { authorization: `Bearer ${process.env.KSI_TOKEN ?? ""}` },
});

const spawned = await api.POST("/api/v1/spawn", { body: { prompt: "Hello, typed REST!", model: "echo" } });
if (!spawned.data) throw new Error(spawned.error.error.message);

const { run_id } = spawned.data;
const { data: run } = await api.GET("/api/v1/runs/{run_id}/result", {
  params: { path: { run_id }, query: { wait_ms: 10_000 } },
});
console.log(run?.status, run?.result);

// What the document does not allow does not compile; what the server refuses is a typed error.
const { error, response } = await api.GET("/api/v1/runs/{run_id}", { params: { path: { run_id: "no-such-run" } } });
console.log(response.status, error?.error.code);
