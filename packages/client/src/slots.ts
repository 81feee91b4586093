/** So many may be at work at one time; who finds no slot free waits, in order. */
export interface Slots {
  take(): Promise<void>;
  free(): void;
}

export function createSlots(count: number): Slots {
  const waiting: (() => void)[] = [];
  let left = count;
  return {
    take() {
      if (left > 0) {
        left--;
        return Promise.resolve();
      }
      return new Promise((resolve) => waiting.push(resolve));
    },
    free() {
      const next = waiting.shift();
      if (next) next();
      else left++;
    },
  };
}
