/*
 * Comparing decimal numbers as texts, exactly: prices and ids may have more digits than a double. Nothing is allocated,
 * because filters compare numbers for each publication and subscriber.
 */

// As the servers of the protocol read them: no exponent, at most 19 digits on each side of the point.
const DECIMAL = /^[+-]?\d{1,19}(?:\.\d{1,19})?$/
const ZERO = 48
const MINUS = 45
const PLUS = 43

export function isDecimal(text: string): boolean {
  return DECIMAL.test(text)
}

/** Below 0 if the first number is less, above 0 if it is greater. Both texts are decimal numbers. */
export function compareDecimals(left: string, right: string): number {
  const isLeftNegative = left.charCodeAt(0) === MINUS
  const magnitude = compareMagnitudes(left, right)
  if (isLeftNegative !== (right.charCodeAt(0) === MINUS)) {
    if (magnitude === 0 && isZero(left)) return 0
    return isLeftNegative ? -1 : 1
  }
  return isLeftNegative ? -magnitude : magnitude
}

function compareMagnitudes(left: string, right: string): number {
  let atLeft = startOf(left)
  let atRight = startOf(right)
  const pointLeft = pointOf(left)
  const pointRight = pointOf(right)
  if (pointLeft - atLeft !== pointRight - atRight) return pointLeft - atLeft - (pointRight - atRight)
  for (; atLeft < pointLeft; atLeft++, atRight++) {
    const difference = left.charCodeAt(atLeft) - right.charCodeAt(atRight)
    if (difference !== 0) return difference
  }
  const digits = Math.max(left.length - pointLeft, right.length - pointRight)
  for (let digit = 1; digit < digits; digit++) {
    const difference = digitAt(left, pointLeft + digit) - digitAt(right, pointRight + digit)
    if (difference !== 0) return difference
  }
  return 0
}

/** The index of the first digit that is not a leading zero, or of the point. */
function startOf(text: string): number {
  const first = text.charCodeAt(0)
  let at = first === MINUS || first === PLUS ? 1 : 0
  while (text.charCodeAt(at) === ZERO) at++
  return at
}

function pointOf(text: string): number {
  const point = text.indexOf('.')
  return point < 0 ? text.length : point
}

/** The digit at an index. Zero behind the end. */
function digitAt(text: string, at: number): number {
  return at < text.length ? text.charCodeAt(at) : ZERO
}

function isZero(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code > ZERO) return false
  }
  return true
}
