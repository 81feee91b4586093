import { until } from "@ksi/testing";

/** Waits until a count has begun to rise and then stays the same for twenty looks, which is 200 ms. */
export async function untilStill(count: () => number): Promise<void> {
  let before = 0;
  let looks = 0;
  await until(() => {
    looks = count() === before ? looks + 1 : 0;
    before = count();
    return before > 0 && looks === 20;
  });
}
