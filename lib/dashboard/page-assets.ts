/** The page's files. */
export interface PageAssets {
  readonly html: string
  readonly style: string
  readonly script: string
  readonly icon: string
}

/**
 * Builds the page from its sources. The built package has another module in place of this one, which holds the files
 * (scripts/build-library.ts): a bundle of a server then contains the page too.
 */
export async function pageAssets(): Promise<PageAssets> {
  const { buildPage } = await import(new URL('../../scripts/build-page.ts', import.meta.url).href)
  return buildPage()
}
