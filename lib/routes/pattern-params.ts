/** The types of the parameters of channel names, from the types of their patterns. */

type Value = string | number
type Loose = Readonly<Record<string, Value>>
type End = '/' | '-' | '.'

/** The parameter name at the beginning of a text, up to a character that ends it. */
type NameAt<Text extends string> = Text extends `${infer Head}${End}${string}` ? NameAt<Head> : Text

type Names<Pattern extends string> = Pattern extends `${string}:${infer Rest}`
  ? Rest extends `:${infer More}`
    ? Names<More>
    : NameAt<Rest> | Names<Rest>
  : Pattern extends `${string}*`
    ? '*'
    : never

/**
 * The values for a pattern's parameters: `{ board }` for `boards/:board`. If the pattern has a regular expression, or
 * is known only at run time, any parameters are allowed.
 */
export type PatternParams<Pattern extends string> = string extends Pattern
  ? Loose
  : Pattern extends `${string}(${string}`
    ? Loose
    : { readonly [Name in Names<Pattern> as Name extends `${string}?` ? never : Name]: Value } & {
        readonly [Name in Names<Pattern> as Name extends `${infer Plain}?` ? Plain : never]?: Value
      }
