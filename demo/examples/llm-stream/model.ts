import { setTimeout as wait } from 'node:timers/promises'

const WORDS = 'the model answers with words that come one after another until it has nothing more to say'.split(' ')

/**
 * Stands for your model: it yields the answer piece by piece, and ends when the signal is aborted. The words depend on
 * the question only. Replace it by the stream of your provider's library, which takes such a signal too.
 */
export async function* ask(question: string, signal: AbortSignal): AsyncGenerator<string> {
  let seed = [...question].reduce((sum, character) => (sum * 31 + character.charCodeAt(0)) % 65_521, 7)
  for (let count = 0; count < 200; count++) {
    await wait(20, undefined, { signal })
    seed = (seed * 16_807 + 11) % 65_521
    yield `${WORDS[seed % WORDS.length]} `
  }
}
