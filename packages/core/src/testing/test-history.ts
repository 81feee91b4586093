export const testHistory = { maxEvents: 10_000, maxAgeMs: 600_000 };
