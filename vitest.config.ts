import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["packages/*/src/**/*.test.ts", "scripts/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**", "**/*.claude.test.ts"],
    typecheck: { enabled: true, include: ["packages/*/src/**/*.test-d.ts"], tsconfig: "tsconfig.test.json" },
    // Two cores, and tests that start real processes: more workers only make deadlines pass.
    maxWorkers: 2,
    // For what hangs. Times that a test is about it measures itself, and a busy machine takes several times as long.
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
});
