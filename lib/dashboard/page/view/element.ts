type Child = Node | string

/**
 * Makes an element. `dataset`, `role` and names that begin with `aria` are set as attributes, all others as properties.
 */
export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  properties: Readonly<Record<string, unknown>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(properties)) {
    if (key === 'dataset') Object.assign(made.dataset, value)
    else if (key === 'role' || key === 'scope' || key.startsWith('aria')) made.setAttribute(key, String(value))
    else Reflect.set(made, key, value)
  }
  made.append(...children)
  return made
}

/** Sets a text only if it differs, so that a reader's selection stays. */
export function write(target: Element, text: string): void {
  if (target.textContent !== text) target.textContent = text
}

/** An element of the page, by its id. */
export function part<Part extends HTMLElement = HTMLElement>(id: string): Part {
  return document.getElementById(id) as Part
}

/** The first element inside another that a selector finds. */
export function inside<Part extends HTMLElement = HTMLElement>(target: Element, selector: string): Part {
  return target.querySelector(selector) as Part
}
