export * from "./temp-folder.ts";
export * from "./until.ts";
