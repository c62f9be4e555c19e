export type Bounds = readonly [least: number, most: number]

/** How to mend a number that is not whole or not within its bounds; undefined where it is. */
export function boundsFault(name: string, value: unknown, [least, most]: Bounds): string | undefined {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return undefined
  return `make ${name} a whole number from ${least} to ${most}`
}
