/* Figures as text for people. */

const MEBIBYTE = 1024 * 1024

/** `12,345`. */
export function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** `0.42 ms`, `17.3 ms`, `1.20 s`. */
export function formatTime(milliseconds: number): string {
  if (milliseconds >= 10_000) return `${(milliseconds / 1000).toFixed(1)} s`
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(2)} s`
  return `${milliseconds.toFixed(milliseconds >= 10 ? 1 : 2)} ms`
}

/** `212 MiB`. */
export function formatMemory(bytes: number): string {
  return `${formatCount(bytes / MEBIBYTE)} MiB`
}

/** A share of a core: `37 % of a core`. */
export function formatCpu(cores: number): string {
  return `${Math.round(cores * 100)} % of a core`
}

/** `1006: 12, 1012: 3`, or `none`. */
export function formatTally(counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts)
  return entries.length === 0 ? 'none' : entries.map(([key, count]) => `${key}: ${formatCount(count)}`).join(', ')
}
