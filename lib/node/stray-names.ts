export interface StrayNamesOptions {
  /** The patterns that the application has declared. */
  patterns(): readonly string[]
  /** Milliseconds of a monotonic clock. */
  now(): number
  /** Reports a channel name, and the pattern that it is most similar to. */
  report(channel: string, pattern: string): void
}

// Milliseconds between two reports of one name. At most so many names are remembered: a name may contain what a client
// sent, so their number is otherwise not limited.
const INTERVAL = 3_600_000
const MAX_NAMES = 1_000
// A missing segment costs less than a different one: it is more likely that a prefix was left out.
const MISSING_SEGMENT = 0.5

/**
 * Reports publications to channel names that match no declared pattern and have no subscribers, if the application
 * declares patterns. Most likely such a name is misspelt, and nobody receives the publication.
 */
export class StrayNames {
  readonly #options: StrayNamesOptions
  /** When each name was reported. The oldest report comes first. */
  readonly #reported = new Map<string, number>()

  constructor(options: StrayNamesOptions) {
    this.#options = options
  }

  /** Called if there was a publication to this name. */
  note(channel: string): void {
    const patterns = this.#options.patterns()
    if (patterns.length === 0) return
    const now = this.#options.now()
    for (const [name, at] of this.#reported) {
      if (now - at < INTERVAL) break
      this.#reported.delete(name)
    }
    if (this.#reported.has(channel) || this.#reported.size >= MAX_NAMES) return
    this.#reported.set(channel, now)
    this.#options.report(channel, nearestPattern(channel, patterns))
  }
}

/** The pattern that is most similar to a name, segment by segment. `patterns` must not be empty. */
export function nearestPattern(name: string, patterns: readonly string[]): string {
  const segments = name.split('/')
  let nearest = patterns[0] as string
  let least = Number.POSITIVE_INFINITY
  for (const pattern of patterns) {
    const distance = editDistance(segments, pattern.split('/'), segmentDistance, MISSING_SEGMENT)
    if (distance >= least) continue
    nearest = pattern
    least = distance
  }
  return nearest
}

/**
 * The distance between a segment of a name and a segment of a pattern: 0 if they are equal or if the pattern has a
 * parameter, 1 if they have nothing in common.
 */
function segmentDistance(segment: string, pattern: string): number {
  if (/^[:*]/.test(pattern)) return 0
  const length = Math.max(segment.length, pattern.length, 1)
  return editDistance(segment, pattern, (one, other) => (one === other ? 0 : 1), 1) / length
}

/** The lowest cost of changing one sequence into the other. `gap` is the cost of an item that only one of them has. */
function editDistance(
  one: ArrayLike<string>,
  other: ArrayLike<string>,
  replace: (one: string, other: string) => number,
  gap: number
): number {
  let previous = Array.from({ length: other.length + 1 }, (_, index) => index * gap)
  for (let i = 1; i <= one.length; i++) {
    const current = [i * gap]
    for (let j = 1; j <= other.length; j++) {
      const replaced = (previous[j - 1] as number) + replace(one[i - 1] as string, other[j - 1] as string)
      current.push(Math.min(replaced, (previous[j] as number) + gap, (current[j - 1] as number) + gap))
    }
    previous = current
  }
  return previous[other.length] as number
}
