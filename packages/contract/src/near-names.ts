/** What somebody may have meant by a name that does not exist: only names so near that they are probably right. */

/** Those that begin with the word (three letters of it at least), or are one slip of the keys away from it. */
export function nearNames(word: string, names: readonly string[]): string[] {
  return names.filter((name) => (word.length >= 3 && name.startsWith(word)) || isOneSlip(word, name));
}

const mostMeant = 3;

/** ` Did you mean bob?`, to stand behind a sentence: three names at most, and nothing where none is near. */
export function didYouMean(word: string, names: readonly string[]): string {
  const near = nearNames(word, names).slice(0, mostMeant);
  return near.length === 0 ? "" : ` Did you mean ${near.join(" or ")}?`;
}

/** One letter too many, too few or wrong, or two neighbours swapped: what is left between what both share at their ends. */
function isOneSlip(word: string, name: string): boolean {
  const shorter = Math.min(word.length, name.length);
  let start = 0;
  while (start < shorter && word[start] === name[start]) start += 1;
  let end = 0;
  while (end < shorter - start && word.at(-1 - end) === name.at(-1 - end)) end += 1;
  const typed = word.slice(start, word.length - end);
  const meant = name.slice(start, name.length - end);
  if (typed.length <= 1 && meant.length <= 1) return true;
  return typed.length === 2 && meant.length === 2 && typed[0] === meant[1] && typed[1] === meant[0];
}
