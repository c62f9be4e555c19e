const STORE = 'admin-key'
const IN_FRAGMENT = /(?:^|&)key=([\w-]+)$/

/** The key, if storage is forbidden. */
let held

/**
 * Takes the administrator key out of the address, so that a copied link or a screenshot does not pass it on. The tab
 * keeps it until it is closed.
 *
 * @param {string} fragment The address's fragment, without the `#`
 * @returns {string} The fragment without the key
 */
export function takeKey(fragment) {
  const key = IN_FRAGMENT.exec(fragment)?.[1]
  if (key === undefined) return fragment
  held = key
  try {
    sessionStorage.setItem(STORE, key)
  } catch {
    // Storage is forbidden: the key lasts as long as the page.
  }
  const rest = fragment.replace(IN_FRAGMENT, '')
  history.replaceState(null, '', rest === '' ? location.pathname : `#${rest}`)
  return rest
}

/** @returns {string | undefined} */
export function adminKey() {
  try {
    return sessionStorage.getItem(STORE) ?? held
  } catch {
    return held // storage is forbidden
  }
}

/** Forgets a key that the server refused. */
export function forgetKey() {
  held = undefined
  try {
    sessionStorage.removeItem(STORE)
  } catch {
    // Storage is forbidden: nothing was stored.
  }
}
