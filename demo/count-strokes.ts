import type { Position, Realtime } from 'fastify-realtime'

const PAGE = 1_000

/** One publication of a board's channel. */
interface Publication {
  readonly id?: string
  readonly points?: readonly number[]
  readonly undo?: string
  readonly clear?: string
  readonly user?: string
}

/**
 * How many strokes a clear at this position removed: those since the last clear, without those that were undone. One
 * drag of a pen is one stroke, in however many pieces it was sent.
 */
export async function countStrokes(realtime: Realtime, channel: string, position: Position): Promise<number> {
  const undone = new Set<string>()
  const lines = new Set<string>()
  let since = position
  for (;;) {
    const { publications, epoch } = await realtime.history(channel, { since, limit: PAGE, reverse: true })
    for (const { data, offset } of publications) {
      const { id, points, undo, clear, user } = data as Publication
      since = { offset, epoch }
      if (points !== undefined && id !== undefined) lines.add(keyOf(lineOf(id), user))
      else if (undo !== undefined) undone.add(keyOf(undo, user))
      else if (clear !== undefined) return count(lines, undone)
    }
    if (publications.length < PAGE) return count(lines, undone)
  }
}

function count(lines: ReadonlySet<string>, undone: ReadonlySet<string>): number {
  return [...lines].filter((line) => !undone.has(line)).length
}

function lineOf(id: string): string {
  return id.split('.', 1)[0] as string
}

// Only the owner of a line can take it back.
function keyOf(line: string, user: string | undefined): string {
  return JSON.stringify([line, user])
}
