import { type RefObject, useCallback, useLayoutEffect, useRef, useState } from "react";

interface StickToEnd<E extends HTMLElement> {
  /** For what scrolls. */
  ref: RefObject<E | null>;
  /** To be called when it was scrolled. The same in every render, as is the next. */
  onScroll(): void;
  /** To be called when something in it was opened. */
  onOpen(): void;
  isAtEnd: boolean;
  goToEnd(): void;
}

const nearPx = 40;

/** Keeps a list that grows scrolled to its end, unless its reader has gone away from there. */
export function useStickToEnd<E extends HTMLElement>(content: unknown): StickToEnd<E> {
  const ref = useRef<E>(null);
  const lastTop = useRef(0);
  const [isAtEnd, setIsAtEnd] = useState(true);
  // What the reader wants counts at once, and not with the next render.
  const wantsEnd = useRef(true);
  const set = useCallback((value: boolean) => {
    wantsEnd.current = value;
    setIsAtEnd(value);
  }, []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: it is the content that has grown
  useLayoutEffect(() => {
    const element = ref.current;
    if (!isAtEnd || !element) return;
    let isOver = false;
    const stick = () => {
      if (!isOver && wantsEnd.current) element.scrollTo({ top: element.scrollHeight });
    };
    stick();
    // Rows have their real height only once they are drawn, and the window may change too.
    const observer = new ResizeObserver(() => requestAnimationFrame(stick));
    for (const resized of [element, ...element.children]) observer.observe(resized);
    return () => {
      isOver = true;
      observer.disconnect();
    };
  }, [content, isAtEnd]);

  const onScroll = useCallback(() => {
    if (!ref.current) return;
    const isUp = ref.current.scrollTop < lastTop.current;
    lastTop.current = ref.current.scrollTop;
    // What has grown below is not the reader's going away.
    if (isNearEnd(ref.current)) set(true);
    else if (isUp) set(false);
  }, [set]);

  const onOpen = useCallback(() => {
    if (ref.current) set(isNearEnd(ref.current));
  }, [set]);

  return { ref, onScroll, onOpen, isAtEnd, goToEnd: () => set(true) };
}

function isNearEnd({ scrollHeight, scrollTop, clientHeight }: HTMLElement): boolean {
  return scrollHeight - scrollTop - clientHeight < nearPx;
}
