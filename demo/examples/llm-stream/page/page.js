import { createClient, login, send } from './session.js'

const me = await login()
const client = createClient()

// From the beginning: on these channels that is the newest publication, so a reload needs no code.
const options = { delta: 'fossil', since: { offset: 0, epoch: '' } }
const followed = new Map()

const list = client.newSubscription(`answers/${me}`, options)
list.on('publication', ({ data: ids }) => {
  for (const id of ids.toReversed()) if (!followed.has(id)) followed.set(id, follow(id))
})

function follow(id) {
  const article = document.createElement('article')
  const question = document.createElement('strong')
  const text = document.createElement('p')
  const state = document.createElement('span')
  const stop = document.createElement('button')
  state.className = 'quiet'
  stop.textContent = 'Stop'
  stop.onclick = () => fetch(`/questions/${id}`, { method: 'DELETE' })
  article.append(question, text, state, stop)
  document.querySelector('#answers').prepend(article)

  const answer = client.newSubscription(`answers/${me}/${id}`, options)
  answer.on('publication', ({ data }) => {
    question.textContent = data.question
    text.textContent = data.text
    state.textContent = data.state
    stop.hidden = data.state !== 'writing'
  })
  answer.subscribe()
  return answer
}

document.querySelector('#ask').onsubmit = async (event) => {
  event.preventDefault()
  const response = await send('POST', '/questions', { question: event.target.question.value })
  document.querySelector('#error').textContent = response.ok ? '' : (await response.json()).message
  if (response.ok) event.target.reset()
}

list.subscribe()
client.connect()
