import type { Publication } from './broker.ts'

/**
 * The publication with the properties that few publications have. The others do not get them: all their objects have one
 * shape, which the engine handles faster.
 */
export function withFlags(
  publication: Publication,
  except: string | undefined,
  binary: boolean | undefined
): Publication {
  if (except === undefined && !binary) return publication
  return { ...publication, ...(except !== undefined && { except }), ...(binary && { binary: true }) }
}
