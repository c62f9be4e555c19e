export interface StrayNamesOptions {
  /** The patterns that the application has declared. */
  patterns(): readonly string[]
  /** Milliseconds, of a clock that goes forward only. */
  now(): number
  /** Reports a name, and the pattern that it may have been meant for. */
  report(channel: string, pattern: string): void
}

// One report per name and hour, and of so many names at most: names are made of what clients send.
const INTERVAL = 3_600_000
const MOST = 1_000
// A prefix is forgotten more easily than a word is taken for another.
const MISSING_SEGMENT = 0.5

/**
 * Channel names that match no declared pattern and that nobody is subscribed to, in an application that declares
 * patterns: most likely a name is misspelt, and what is published to it reaches nobody.
 */
export class StrayNames {
  readonly #options: StrayNamesOptions
  /** When each was reported, the oldest first. */
  readonly #reported = new Map<string, number>()

  constructor(options: StrayNamesOptions) {
    this.#options = options
  }

  /** Something was published to that name. */
  note(channel: string): void {
    const patterns = this.#options.patterns()
    if (patterns.length === 0) return
    const now = this.#options.now()
    for (const [name, at] of this.#reported) {
      if (now - at < INTERVAL) break
      this.#reported.delete(name)
    }
    if (this.#reported.has(channel) || this.#reported.size >= MOST) return
    this.#reported.set(channel, now)
    this.#options.report(channel, nearestPattern(channel, patterns))
  }
}

/** The pattern that a name is most like, segment by segment. There must be one. */
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

/** How far a name's segment is from a pattern's: 0 for the same or a parameter, 1 if they have nothing in common. */
function segmentDistance(segment: string, pattern: string): number {
  if (/^[:*]/.test(pattern)) return 0
  const length = Math.max(segment.length, pattern.length, 1)
  return editDistance(segment, pattern, (one, other) => (one === other ? 0 : 1), 1) / length
}

/** What it costs at least to make one sequence of the other. `gap` is what an item costs that only one of them has. */
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
