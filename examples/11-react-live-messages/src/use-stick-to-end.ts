import { type RefObject, useCallback, useLayoutEffect, useRef, useState } from "react";

interface StickToEnd<E extends HTMLElement> {
  /** For what scrolls. */
  ref: RefObject<E | null>;
  /** To be called when it was scrolled, or something in it was opened. The same in every render. */
  onMove(): void;
  isAtEnd: boolean;
  goToEnd(): void;
}

const nearPx = 40;

/** Keeps a list that grows scrolled to its end, unless its reader has gone away from there. */
export function useStickToEnd<E extends HTMLElement>(content: unknown): StickToEnd<E> {
  const ref = useRef<E>(null);
  const [isAtEnd, setIsAtEnd] = useState(true);

  // biome-ignore lint/correctness/useExhaustiveDependencies: it is the content that has grown
  useLayoutEffect(() => {
    if (isAtEnd) ref.current?.scrollTo({ top: ref.current.scrollHeight });
  }, [content, isAtEnd]);

  const onMove = useCallback(() => {
    if (!ref.current) return;
    const { scrollHeight, scrollTop, clientHeight } = ref.current;
    setIsAtEnd(scrollHeight - scrollTop - clientHeight < nearPx);
  }, []);

  return { ref, onMove, isAtEnd, goToEnd: () => setIsAtEnd(true) };
}
