/**
 * Makes an element: `dataset`, `role` and what begins with `aria` as attributes, all else as properties.
 *
 * @param {string} name
 * @param {Record<string, unknown>} properties
 * @param {...(Node | string)} children
 */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(properties)) {
    if (key === 'dataset') Object.assign(made.dataset, value)
    else if (key === 'role' || key.startsWith('aria')) made.setAttribute(key, value)
    else made[key] = value
  }
  made.append(...children)
  return made
}

/** Sets a text only where it is another: what a reader has selected stays so. */
export function write(target, text) {
  if (target.textContent !== text) target.textContent = text
}
