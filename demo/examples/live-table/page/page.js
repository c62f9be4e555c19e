import { createClient, login, send } from './session.js'

const STATES = ['new', 'packed', 'sent']

await login()
const client = createClient()
const rows = new Map()
let orders

/** Shows the rows of a region, or all that the user may see. */
function follow(region) {
  if (orders !== undefined) client.removeSubscription(orders)
  orders = client.newSubscription('orders', {
    tagsFilter: region === '' ? null : { key: 'region', cmp: 'eq', val: region },
    // Called at the start, and if missed changes are no longer available.
    getState: async () => {
      const query = region === '' ? '' : `?region=${encodeURIComponent(region)}`
      const state = await (await fetch(`/rows${query}`)).json()
      rows.clear()
      for (const row of state.rows) rows.set(row.id, row)
      render()
      return { offset: state.offset, epoch: state.epoch }
    }
  })
  orders.on('publication', ({ data }) => render(rows.set(data.id, data)))
  orders.subscribe()
}

function render() {
  const lines = [...rows.values()].map(({ id, region, state }) => {
    const line = document.createElement('tr')
    const select = document.createElement('select')
    select.setAttribute('aria-label', `State of order ${id}`)
    select.append(...STATES.map((name) => new Option(name, name, false, name === state)))
    select.onchange = () => send('PATCH', `/rows/${id}`, { state: select.value })
    for (const content of [id, region, select]) line.insertCell().append(content)
    return line
  })
  document.querySelector('tbody').replaceChildren(...lines)
}

document.querySelector('#region').onchange = (event) => follow(event.target.value)
follow('')
client.connect()
