/*
 * Tokens that nobody introduced as such. A client may offer one as a subprotocol, or put it into a URL, under a name of
 * its own: it must not be selected, echoed or logged even so.
 */

// What base64url decodes in one go, and the fewest characters of a header ({"a":1} has ten).
const QUANTUM = 4
const SHORTEST_HEADER = 8
const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
// The start of a JSON object with a member. Blanks may stand before it, and within.
const OBJECT = /\{\s*"[^"\\]*"\s*:/

/**
 * Whether a text holds a JSON Web Token: base64url parts with points between, three if it is signed (RFC 7515), five if
 * it is encrypted (RFC 7516), the first of them a JSON object. Anything may stand before it.
 */
export function holdsJwt(text: string): boolean {
  return text.split('.').slice(0, -2).some(endsWithHeader)
}

function endsWithHeader(part: string): boolean {
  const run = part.slice(startOfRun(part))
  if (run.length < SHORTEST_HEADER) return false
  // Characters before the header shift it: it is at one of four places.
  for (let start = 0; start < QUANTUM; start++) if (OBJECT.test(decode(run.slice(start)))) return true
  return false
}

/** Where the base64url at the end begins. From the end: an expression would try each place from the start, to the end. */
function startOfRun(part: string): number {
  let start = part.length
  while (start > 0 && BASE64URL.includes(part.charAt(start - 1))) start--
  return start
}

function decode(run: string): string {
  const whole = run.slice(0, run.length - (run.length % QUANTUM))
  return atob(whole.replaceAll('-', '+').replaceAll('_', '/'))
}
