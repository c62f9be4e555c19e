import FindMyWay from 'find-my-way'

/** What a pattern was declared with, and what its parameters are in a name. */
export interface PatternMatch<Definition> {
  readonly definition: Definition
  readonly params: Readonly<Record<string, string>>
}

// No name is longer than 255 bytes, each of which takes three characters where it is escaped.
const MAX_PARAM_LENGTH = 765
// Characters that the router takes as they are. Others are escaped first: a name is no URL, and `?` and `;` are letters.
const PLAIN = /^[\w\-./~!$'()*,@&+=]*$/

/**
 * Channel names by pattern (`boards/:board`), through the router that Fastify itself uses: static parts win over
 * parameters, parameters over wildcards.
 */
export class ChannelPatterns<Definition> {
  readonly #router = FindMyWay({ caseSensitive: true, maxParamLength: MAX_PARAM_LENGTH })

  /** Throws where the pattern is malformed or declared already. */
  add(pattern: string, definition: Definition): void {
    this.#router.on('GET', toPath(pattern), NO_HANDLER, definition)
  }

  find(name: string): PatternMatch<Definition> | undefined {
    const path = PLAIN.test(name) ? toPath(name) : toPath(name.split('/').map(encodeURIComponent).join('/'))
    const match = this.#router.find('GET', path)
    return match === null
      ? undefined
      : { definition: match.store as Definition, params: match.params as Record<string, string> }
  }
}

// The router wants one; what it finds is the definition.
const NO_HANDLER = Function.prototype as () => void

// A leading slash of the name's own stays: it makes two.
function toPath(name: string): string {
  return `/${name}`
}
