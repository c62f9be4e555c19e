import FindMyWay from 'find-my-way'
import { isChannelName, MAX_CHANNEL_BYTES } from '../protocol/channel-name.ts'
import { isPlain, namePath, original, patternPath } from './pattern-path.ts'

/** The definition of a pattern, and the values of its parameters in a name. */
export interface PatternMatch<Definition> {
  readonly definition: Definition
  readonly params: Readonly<Record<string, string>>
}

/**
 * Finds the pattern of a channel name (`boards/:board`), with the router that Fastify itself uses: static parts have
 * precedence over parameters, and parameters over wildcards.
 */
export class ChannelPatterns<Definition> {
  readonly #router = FindMyWay({ caseSensitive: true, maxParamLength: MAX_CHANNEL_BYTES })

  /** Throws if the pattern is malformed or already declared. */
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
    // Check the name first: an invalid name may contain a stand-in.
    const match = plain || isChannelName(name) ? this.#router.find('GET', namePath(name)) : null
    if (match === null) return undefined
    const params = match.params as Record<string, string>
    if (!plain) for (const key of Object.keys(params)) params[key] = original(params[key] as string)
    return { definition: match.store as Definition, params }
  }
}

// The router requires a handler, but only the stored definition is used.
const NO_HANDLER = Function.prototype as () => void
