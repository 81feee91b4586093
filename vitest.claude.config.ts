/** The tests against the real `claude` CLI, which they install into an ignored folder (`npm run test:claude`). */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["packages/*/src/**/*.claude.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**"],
    // A process of the CLI takes a second of processor and 200 MB.
    maxWorkers: 1,
    testTimeout: 60_000,
    hookTimeout: 300_000,
  },
});
