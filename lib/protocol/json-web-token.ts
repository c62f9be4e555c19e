/*
 * Finds tokens whatever they are called. A client may offer a token as a subprotocol, or put it into a URL, under any
 * name. Even then the server must not select, echo or log it.
 */

// The number of base64url characters that decode to whole bytes.
const QUANTUM = 4
// Fewer base64url characters than any header has: {"a":1} has ten.
const SHORTEST_HEADER = 8
const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
// The start of a JSON object with a member. There may be white space in it.
const OBJECT = /\{\s*"[^"\\]*"\s*:/

/**
 * True if a text contains a JSON Web Token: base64url parts with dots between them, three if it is signed (RFC 7515),
 * five if it is encrypted (RFC 7516). The first part is a JSON object. There may be other text before the token.
 */
export function holdsJwt(text: string): boolean {
  return text.split('.').slice(0, -2).some(endsWithHeader)
}

function endsWithHeader(part: string): boolean {
  const run = part.slice(startOfRun(part))
  if (run.length < SHORTEST_HEADER) return false
  // There may be characters before the header. So it begins at one of four offsets within a quantum.
  for (let start = 0; start < QUANTUM; start++) if (OBJECT.test(decode(run.slice(start)))) return true
  return false
}

/**
 * The start of the base64url characters at the end of a text. The loop goes backwards: a regular expression would try
 * each start, and take quadratic time.
 */
function startOfRun(part: string): number {
  let start = part.length
  while (start > 0 && BASE64URL.includes(part.charAt(start - 1))) start--
  return start
}

function decode(run: string): string {
  const whole = run.slice(0, run.length - (run.length % QUANTUM))
  return atob(whole.replaceAll('-', '+').replaceAll('_', '/'))
}
