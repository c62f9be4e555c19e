/** Splits a stream of text into lines. A line may come in several parts. */
export class LineReader {
  #rest = ''

  /** The lines that are whole with this part. */
  take(text: string): string[] {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() as string
    return lines
  }
}
