import { readTags } from '../../protocol/tags.ts'
import type { Publication } from '../broker.ts'
import { withRest } from '../with-rest.ts'
import type { RedisEntry } from './scripts.ts'

/** The publication that an entry of a channel's stream holds (publish.lua). */
export function publicationOf([id, fields]: RedisEntry, epoch: string): Publication {
  // The id is <offset>-0. The fields are d, data, a, milliseconds, and optionally i, info, x, the id of a connection, t,
  // tags, b, 1. The optional ones are empty for none.
  const info = fields[5]?.length ? fields[5] : undefined
  const publication = { offset: Number.parseInt(id.toString('latin1'), 10), epoch, data: fields[1] as Buffer, info }
  if (fields[7] === undefined) return publication
  const except = fields[7].length > 0 ? fields[7].toString('latin1') : undefined
  const tags = fields[9]?.length ? readTags(fields[9].toString()) : undefined
  return withRest(publication, { except, tags, binary: (fields[11]?.length ?? 0) > 0 })
}

/** The time at which Redis added a publication, by Redis's clock. */
export function timeOf([, fields]: RedisEntry): number {
  return Number(fields[3])
}
