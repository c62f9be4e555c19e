/** A module of the demo's page that needs no browser. The page is plain JavaScript, so its types are not checked here. */
export function pageModule(name: string) {
  return import(new URL(`../../demo/page/${name}`, import.meta.url).href)
}
