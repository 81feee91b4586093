/** What one subscriber was given, and whether that is all there was. */

export interface Notes {
  readonly ids: readonly string[];
  readonly resumes: number;
  readonly gaps: number;
  take(eventId: string): void;
  /** It was told that something is missing before what comes next. */
  gap(): void;
  /** Its connection was lost, and it goes on. */
  resumed(): void;
  /** What is wrong with it, for a channel that holds these events by now; empty when nothing is. */
  compare(expected: readonly string[]): string[];
}

export function createNotes(): Notes {
  const ids: string[] = [];
  /** Places in `ids` before which something may be missing. */
  const gapsBefore = new Set<number>();
  let resumes = 0;
  return {
    ids,
    get resumes() {
      return resumes;
    },
    get gaps() {
      return gapsBefore.size;
    },
    take: (eventId) => void ids.push(eventId),
    gap: () => void gapsBefore.add(ids.length),
    resumed: () => {
      resumes += 1;
    },
    compare(expected) {
      const places = new Map(expected.map((id, place) => [id, place]));
      const wrong: string[] = [];
      let next = 0;
      for (const [i, id] of [...ids, undefined].entries()) {
        const place = id === undefined ? expected.length : places.get(id);
        if (place === undefined) wrong.push(`was given event ${id}, which is not in the channel`);
        else if (place < next) wrong.push(`was given event ${place} again, or late`);
        else if (place > next && !gapsBefore.has(i)) wrong.push(`was not given events ${next} to ${place - 1}`);
        next = Math.max(next, (place ?? next - 1) + 1);
      }
      return wrong;
    },
  };
}
