export * from "./daemon-process.ts";
export * from "./temp-folder.ts";
export * from "./until.ts";
