/**
 * Makes an element: `dataset`, `role` and names that begin with `aria` are set as attributes, all others as properties.
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

/** Sets a text only if it differs, so that a reader's selection stays. */
export function write(target, text) {
  if (target.textContent !== text) target.textContent = text
}
