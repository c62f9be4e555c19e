import { createClient, login, send } from './session.js'

await login()
const client = createClient()
const orders = new Map()

function show(order) {
  orders.set(order.id, order) // an order that comes twice is shown once
  const items = [...orders.values()].map(({ item, quantity }) => {
    const element = document.createElement('li')
    element.textContent = `${quantity} × ${item}`
    return element
  })
  document.querySelector('#orders').replaceChildren(...items.reverse())
}

async function load() {
  for (const order of (await (await fetch('/orders')).json()).reverse()) show(order)
}

// After a break the client recovers what it missed. Otherwise, and at the start, the page loads the list.
client.on('subscribed', ({ recovered }) => recovered || load())
client.on('publication', ({ data }) => {
  show(data)
  document.querySelector('#news').textContent = `Ordered: ${data.item}`
})

document.querySelector('#order').onsubmit = async (event) => {
  event.preventDefault()
  const { item, quantity } = event.target
  const response = await send('POST', '/orders', { item: item.value, quantity: quantity.valueAsNumber })
  document.querySelector('#error').textContent = response.ok ? '' : (await response.json()).message
}

client.connect()
