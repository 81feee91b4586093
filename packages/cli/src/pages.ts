/** Every list of KSI comes in pages, each of which names the `after` of the next. */
export async function* allPages<Page extends { next?: string | undefined }>(
  ask: (place: { after?: string }) => Promise<Page>,
): AsyncGenerator<Page, void> {
  let after: string | undefined;
  do {
    const page: Page = await ask(after === undefined ? {} : { after });
    yield page;
    after = page.next;
  } while (after !== undefined);
}
