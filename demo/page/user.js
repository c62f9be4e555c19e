/** The name that the visitor chose, or one made up. */
export function storedUser() {
  try {
    const stored = localStorage.getItem('user')
    if (stored) return stored
  } catch {
    // Storage may be forbidden: then the name lasts as long as the page.
  }
  return `guest-${1000 + Math.floor(Math.random() * 9000)}`
}

/** @param {string} name */
export function storeUser(name) {
  try {
    localStorage.setItem('user', name)
  } catch {
    // As above.
  }
}
