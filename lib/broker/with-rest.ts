import type { BrokerPublishOptions, Publication } from './broker.ts'

/**
 * The publication with the properties that few publications have. The others do not get them: all their objects have one
 * shape, which the engine handles faster.
 */
export function withRest(
  publication: Publication,
  { except, tags, binary }: Pick<BrokerPublishOptions, 'except' | 'tags' | 'binary'> = {}
): Publication {
  if (except === undefined && tags === undefined && !binary) return publication
  return {
    ...publication,
    ...(except !== undefined && { except }),
    ...(tags && { tags }),
    ...(binary && { binary: true })
  }
}
