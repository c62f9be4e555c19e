/**
 * True for a valid offset: a safe integer from 0 up. Positions come from clients, so a broker may be asked for
 * publications after −1, 1.5, NaN or 2⁵³ + 1. There are none.
 */
export function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
