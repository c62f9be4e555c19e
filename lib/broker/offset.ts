/**
 * True for what can be an offset: a safe integer from 0 up. Positions come from clients, so a broker may be asked for
 * what is after −1, 1.5, NaN or 2⁵³ + 1: nothing is.
 */
export function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
