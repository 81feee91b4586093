// The walls between the rooms (docs/architecture.md). scripts/walls.test.ts plants a fault for each rule below.
//
// The parser is swc, since this TypeScript has no compiler API for dependency-cruiser to use. swc does not tell
// `import type` from `import`, so rules about what is really loaded look at the emitted JavaScript in dist.
import swc from "@swc/core";
import { Visitor } from "@swc/core/Visitor.js";

// dependency-cruiser does not tell swc which files hold JSX.
const { parseFileSync } = swc;
/** @param {string} path @param {import("@swc/core").ParseOptions} options */
const parseFileByName = (path, options) =>
  parseFileSync(path, { ...options, syntax: "typescript", tsx: path.endsWith(".tsx") });
Object.assign(swc, { parseFileSync: parseFileByName });

// swc parses `await using x = …`, and the visitor that dependency-cruiser takes from it then fails on what was parsed.
/** @type {{ visitStatement(statement: object): object, visitVariableDeclarators(decls: unknown): unknown }} */
const visitor = Visitor.prototype;
const { visitStatement } = visitor;
visitor.visitStatement = function visitStatementOrUsing(statement) {
  if (!("decls" in statement)) return visitStatement.call(this, statement);
  this.visitVariableDeclarators(statement.decls);
  return statement;
};

/** Modules of core that talk to Redis. Everything else in core goes through them. */
const redisFacing = [
  "redis/",
  "channel-hub",
  "event-log",
  "janitor",
  "lua-script",
  "reconciler",
  "run-",
  "sessions",
  "agents",
  "messages",
  "system",
  "worker",
];

/** @param {string} names One, or several with a bar between them. */
const packageSource = (names) => `^packages/(${names})/(src|bin)/`;
/** @param {string} names */
const anyFileOf = (names) => `^packages/(${names})/`;
const ownTests = String.raw`\.test(-d)?\.ts$|/src/testing/|/src/[a-z]+/testing/`;
const testFiles = `${ownTests}|^packages/(testing|e2e|benchmarks)/|^scripts/`;

/** `from` may import of our packages only `to` (and itself). @param {string} from @param {string[]} to */
const mayImportOnly = (from, ...to) => ({
  name: `${from}-may-import-only-${to.join("-") || "strangers"}`,
  severity: "error",
  from: { path: packageSource(from), pathNot: ownTests },
  to: { path: "^(packages|examples)/", pathNot: anyFileOf([from, ...to].join("|")) },
});

export default {
  forbidden: [
    mayImportOnly("contract"),
    mayImportOnly("core", "contract"),
    mayImportOnly("client", "contract"),
    mayImportOnly("openapi", "contract"),
    mayImportOnly("console", "client"),
    mayImportOnly("server", "contract", "core", "openapi"),
    mayImportOnly("cli", "contract", "client", "server"),
    mayImportOnly("testing"),
    {
      name: "client-loads-only-the-errors-of-contract",
      comment: "Types cost a browser nothing; the rest of contract would bring zod and the router along.",
      severity: "error",
      from: { path: "^packages/client/dist/" },
      to: { path: "^packages/", pathNot: "^packages/(client/dist/|contract/dist/errors\\.js$)" },
    },
    {
      name: "cli-names-server-only-in-serve-worker-and-config",
      severity: "error",
      from: { path: packageSource("cli"), pathNot: [String.raw`/(serve|worker|config)\.ts$`, testFiles] },
      to: { path: anyFileOf("server") },
    },
    {
      name: "cli-loads-server-late",
      comment: "`ksi status` must not wait for Redis, hono and BullMQ to load.",
      severity: "error",
      from: { path: "^packages/cli/dist/" },
      to: { path: anyFileOf("server"), dynamic: false },
    },
    {
      name: "only-redis-facing-modules-know-redis",
      severity: "error",
      from: {
        path: "^packages/",
        pathNot: [`^packages/core/(src|dist)/(${redisFacing.join("|")})`, testFiles],
      },
      to: { path: "node_modules/(ioredis|bullmq|redis-memory-server)/" },
    },
    {
      name: "core-knows-no-transport",
      comment: "inline-command speaks to our own Redis where no client library may wait for it.",
      severity: "error",
      from: { path: packageSource("core"), pathNot: [testFiles, "^packages/core/src/redis/inline-command"] },
      to: { path: ["^(node:)?(http|https|http2|net|tls|ws)$", "node_modules/(ws|fastify|hono|@hono|@trpc)/"] },
    },
    {
      name: "openapi-knows-no-transport",
      comment: "Everything in it is a fetch handler, so that it runs behind any server.",
      severity: "error",
      from: { path: packageSource("openapi"), pathNot: testFiles },
      to: { path: ["^(node:)?(http|https|http2|net|tls|ws)$", "node_modules/(ws|fastify|hono|@hono)/"] },
    },
    {
      name: "the-rest-handler-knows-no-ksi",
      comment: "It serves anybody's router; what is KSI's own has folders of its own.",
      severity: "error",
      from: { path: "^packages/openapi/src/(index\\.ts$|rest/|document/|docs/)", pathNot: testFiles },
      to: { path: ["^packages/openapi/src/(ksi|openai)/", anyFileOf("contract")] },
    },
    {
      name: "contract-starts-nothing",
      severity: "error",
      from: { path: packageSource("contract"), pathNot: testFiles },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "packages-are-entered-by-name",
      comment: "A path into another package goes past its exports, and breaks once it is installed from a registry.",
      severity: "error",
      from: { path: "^(packages|examples)/([^/]+)/" },
      to: {
        path: "^(packages|examples)/",
        pathNot: "^$1/$2/",
        dependencyTypes: ["local"],
        dependencyTypesNot: ["aliased"],
      },
    },
    {
      name: "examples-import-what-a-stranger-can-install",
      severity: "error",
      from: { path: "^examples/([^/]+)/" },
      to: { path: "^(packages|examples)/", pathNot: ["^examples/$1/", "^packages/(contract|client|openapi)/dist/"] },
    },
    {
      name: "nothing-imports-a-test",
      severity: "error",
      from: {},
      to: { path: String.raw`\.test(-d)?\.ts$` },
    },
    {
      name: "what-tests-share-stays-in-tests",
      severity: "error",
      from: { path: "^(packages|examples)/", pathNot: testFiles },
      to: { path: ["/src/testing/", "/src/[a-z]+/testing/", anyFileOf("testing|e2e|benchmarks")] },
    },
    {
      name: "no-cycles",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "every-import-is-found",
      comment: "An import that does not resolve is an import that no rule above can judge.",
      severity: "error",
      from: {},
      // @oxc-project/types holds types alone, which are not looked for.
      to: { couldNotResolve: true, pathNot: "^@oxc-project/types$" },
    },
  ],
  options: {
    parser: "swc",
    doNotFollow: { path: "node_modules" },
    exclude: { path: String.raw`^packages/[^/]+/dist/.*\.d\.ts$` },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default"] },
  },
};
