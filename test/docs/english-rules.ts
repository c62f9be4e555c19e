/*
 * What can be measured of plain English, in our Markdown. The rules are those of docs/decisions/0074: they find a relapse
 * into habits that made pages hard to read. They do not judge whether a page is clear.
 */

/** Words of a sentence, or of a part of it between semicolons, at most. */
export const MOST_WORDS = 36
/** Words of a paragraph, a list item or a table cell, at most. */
export const MOST_WORDS_TOGETHER = 90

export interface Finding {
  readonly line: number
  readonly rule: string
  /** The sentence, or its beginning. */
  readonly text: string
}

interface Rule {
  readonly pattern: RegExp
  /** What to write instead. */
  readonly instead: string
}

/** Stands for inline code and for quoted words: they are not ours to change. */
const CODE = '\u2022'

// Each is tried on one sentence.
const RULES: readonly Rule[] = [
  // "What a listener throws is logged." A question, and a list item that names a thing, are no such sentences.
  {
    pattern: /^(?:Who|Whoever|Whose|What|Whatever|Whichever)\b.*\b(?:is|are|was|has|have|gets|can|may|must)\b.*\.$/,
    instead: 'name the actor first, in place of a relative clause as the subject'
  },
  {
    pattern: /^Where (?!to\b)[^?]*\.$|, where |\b(?:except|only|unless|even) where\b|\bwhere (?:there|nothing|no)\b/,
    instead: '"if" or "when" for a condition'
  },
  {
    pattern: /\b(?:told|said|heard|met|wants|mend(?:s|ed)?|spoken|of its own accord)\b/i,
    instead: 'reported, sent, received, handled; requires, fix, supported, by itself'
  },
  { pattern: /\b(?:is|are|was|were|be) gone\b/i, instead: 'deleted, ended, closed, vanished' },
  { pattern: /\b(?:somebody|someone|one (?:can|may|must|has to))\b/i, instead: '"you", or name who acts' },
  { pattern: /\b(?:can't|can not|cannot) be had\b|\bto be had\b/i, instead: 'is not available' },
  { pattern: /\bin order to\b/i, instead: 'to' },
  { pattern: /\b(?:simply|obviously|of course|just as easily|very)\b/i, instead: 'nothing: it adds no meaning' },
  { pattern: /\b(?:seamless|blazing|powerful|effortless|world-class|rock-solid|cutting-edge)/i, instead: 'a fact' }
]

/** What a page has that the rules do not allow. */
export function findings(markdown: string): Finding[] {
  return blocksOf(markdown).flatMap(({ line, text }) => {
    const found: Finding[] = []
    const sentences = sentencesOf(text)
    for (const sentence of sentences) {
      for (const part of sentence.split(/; |: (?=[^;]*;)/)) {
        const words = wordsOf(part)
        if (words > MOST_WORDS) found.push({ line, rule: `${words} words in a sentence`, text: part })
      }
      for (const { pattern, instead } of RULES) {
        if (pattern.test(sentence)) found.push({ line, rule: `write ${instead}`, text: sentence })
      }
    }
    const words = wordsOf(text)
    if (words > MOST_WORDS_TOGETHER) found.push({ line, rule: `${words} words in a paragraph`, text })
    return found
  })
}

/** Paragraphs, list items and table cells, as plain text. Headings, code, quoted titles and HTML are left out. */
export function blocksOf(markdown: string): { line: number; text: string }[] {
  const blocks: { line: number; text: string }[] = []
  let open: { line: number; text: string } | undefined
  let isCode = false
  for (const [index, source] of markdown.split('\n').entries()) {
    const line = index + 1
    const trimmed = source.trim()
    if (trimmed.startsWith('```')) isCode = !isCode
    const isText = !isCode && !/^(?:$|```|#|<|!\[|\|[ -|]*-{3})/.test(trimmed)
    if (!isText) {
      open = undefined
    } else if (trimmed.startsWith('|')) {
      open = undefined
      for (const cell of trimmed.slice(1, -1).split(/(?<!\\)\|/)) blocks.push({ line, text: plain(cell) })
    } else if (open === undefined || /^(?:[-*]|\d+\.|>) /.test(trimmed)) {
      open = { line, text: plain(trimmed.replace(/^(?:(?:[-*]|\d+\.|>) +)+/, '')) }
      blocks.push(open)
    } else {
      open.text += ` ${plain(trimmed)}`
    }
  }
  return blocks.filter(({ text }) => text !== '')
}

function plain(markdown: string): string {
  return markdown
    .replace(/``?[^`]+``?|"[^"]{1,60}"/g, CODE)
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/<[^>]+>/g, '')
    .replace(/\*\*|(?<!\w)[*_](?=\S)|(?<=\S)[*_](?!\w)/g, '')
    .trim()
}

/** A sentence ends with a mark before a space, and the next one begins like a sentence. */
export function sentencesOf(text: string): string[] {
  return text.split(/(?<=[.!?]["”)]?) +(?=["“(]?[A-Z0-9\u2022])/)
}

function wordsOf(text: string): number {
  return text.match(/[\p{L}\p{N}\u2022](?:[^\s]*)/gu)?.length ?? 0
}
