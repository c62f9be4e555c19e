import FindMyWay from 'find-my-way'
import { isChannelName, MAX_CHANNEL_BYTES } from '../protocol/channel-name.ts'
import { isPlain, namePath, original, patternPath } from './pattern-path.ts'

/** What a pattern was declared with, and what its parameters are in a name. */
export interface PatternMatch<Definition> {
  readonly definition: Definition
  readonly params: Readonly<Record<string, string>>
}

/**
 * Channel names by pattern (`boards/:board`), through the router that Fastify itself uses: static parts win over
 * parameters, parameters over wildcards.
 */
export class ChannelPatterns<Definition> {
  readonly #router = FindMyWay({ caseSensitive: true, maxParamLength: MAX_CHANNEL_BYTES })

  /** Throws where the pattern is malformed or declared already. */
  add(pattern: string, definition: Definition): void {
    const path = patternPath(pattern)
    try {
      this.#router.on('GET', path, NO_HANDLER, definition)
    } catch (cause) {
      throw new Error(original((cause as Error).message), { cause })
    }
  }

  find(name: string): PatternMatch<Definition> | undefined {
    const plain = isPlain(name)
    // What is no name may hold what stands for other letters in one.
    const match = plain || isChannelName(name) ? this.#router.find('GET', namePath(name)) : null
    if (match === null) return undefined
    const params = match.params as Record<string, string>
    if (!plain) for (const key of Object.keys(params)) params[key] = original(params[key] as string)
    return { definition: match.store as Definition, params }
  }
}

// The router wants one; what it finds is the definition.
const NO_HANDLER = Function.prototype as () => void
