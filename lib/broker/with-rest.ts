import type { Tags } from '../protocol/tags.ts'
import type { Publication } from './broker.ts'

/** Adds to a publication what most publications do not have. */
export function withRest(publication: Publication, except: string | undefined, tags: Tags | undefined): Publication {
  if (except === undefined && tags === undefined) return publication
  return { ...publication, ...(except !== undefined && { except }), ...(tags && { tags }) }
}
