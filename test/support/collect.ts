import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')

/** Collects garbage now: what a WeakRef still gives afterwards, in another turn, is held by something. */
export const collect = runInNewContext('gc') as () => void
