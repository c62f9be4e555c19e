export type Bounds = readonly [min: number, max: number]

/** Returns how to fix a number that is not whole or not within its bounds. Undefined if it is valid. */
export function boundsFault(name: string, value: unknown, [min, max]: Bounds): string | undefined {
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return undefined
  return `make ${name} a whole number from ${min} to ${max}`
}
