import type { TableAnswer } from '../../messages.ts'
import { duration } from '../model/format.ts'
import type { ShownConnection } from '../model/tables.ts'
import { element, part, write } from './element.ts'

/** A connection in a few words. */
export function describe({ user, route, node, age }: ShownConnection): string {
  return `${user ?? 'anonymous'} on ${route} (${node}, connected ${duration(age)})`
}

/** Asks before another user's connection is ended. */
export class ConfirmDialog {
  readonly #dialog = part<HTMLDialogElement>('confirm')
  #answer: ((isConfirmed: boolean) => void) | undefined

  constructor() {
    this.#dialog.addEventListener('close', () => {
      if (isOpenAgain(this.#dialog)) return
      this.#answer?.(this.#dialog.returnValue === 'yes')
      this.#answer = undefined
    })
  }

  /** Resolves with true for yes. */
  ask(row: ShownConnection): Promise<boolean> {
    // The event of the time before may still be on its way. The answer was no.
    this.#answer?.(false)
    part('confirm-who').textContent = describe(row)
    this.#dialog.returnValue = ''
    this.#dialog.showModal()
    return new Promise((resolve) => {
      this.#answer = resolve
    })
  }
}

/** Browsers report that a dialog was closed in a later task. A quick user has opened it again by then. */
function isOpenAgain(dialog: HTMLDialogElement): boolean {
  return dialog.open
}

/** Shows the subscriptions of one connection. */
export class DetailDialog {
  readonly #dialog = part<HTMLDialogElement>('detail')
  readonly #asked: (id: string | undefined) => void
  #id: string | undefined
  #shown = ''

  /** @param asked Called with the connection that must be asked for, and with undefined at the end. */
  constructor(asked: (id: string | undefined) => void) {
    this.#asked = asked
    this.#dialog.addEventListener('close', () => {
      if (isOpenAgain(this.#dialog)) return
      this.#id = undefined
      this.#asked(undefined)
    })
  }

  open(row: ShownConnection): void {
    this.#id = row.id
    part('detail-who').textContent = describe(row)
    this.#list(row.channels, row.channels.length < row.subscriptions)
    this.#dialog.showModal()
    this.#asked(row.id)
  }

  take({ detail }: TableAnswer): void {
    if (detail !== undefined && detail.id === this.#id) this.#list(detail.channels, false)
  }

  #list(channels: readonly string[], isPart: boolean): void {
    const text = JSON.stringify([this.#id, channels])
    if (text === this.#shown) return
    this.#shown = text
    part('detail-channels').replaceChildren(...channels.map((name) => element('li', { textContent: name })))
    write(part('detail-more'), isPart ? 'Asking for the others…' : '')
  }
}
