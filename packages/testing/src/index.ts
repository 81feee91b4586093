export * from "./claude-cli.ts";
export * from "./claude-stand-in.ts";
export * from "./daemon-process.ts";
export * from "./fake-follow.ts";
export * from "./processes.ts";
export * from "./scripted-model.ts";
export * from "./temp-folder.ts";
export * from "./until.ts";
