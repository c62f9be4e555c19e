import t from 'tap'
import { ask } from '../../../demo/examples/llm-stream/model.ts'
import { launchBrowser } from '../../support/browser.ts'
import { next } from '../../support/centrifuge.ts'
import { ExampleServer, Visitor } from '../../support/example.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'

async function whole(question: string): Promise<string> {
  let text = ''
  for await (const piece of ask(question, new AbortController().signal)) text += piece
  return text
}

t.test('an answer grows in each tab, whatever is reloaded or cut', async (t) => {
  const server = await ExampleServer.start(t, 'llm-stream')
  const browser = await launchBrowser()
  t.teardown(() => browser.close())
  const proxy = await TcpProxy.start(t, server.port)
  const url = `http://127.0.0.1:${proxy.port}`
  const adas = await Visitor.create(t, browser)
  const first = await adas.open(url, 'ada')
  const second = await adas.open(url)
  const question = async (text: string) => {
    await first.fill('[name=question]', text)
    await first.click('#ask button')
    await first.locator('article', { hasText: text }).waitFor()
  }
  const answer = (page: typeof first, text: string, state: string) =>
    page.locator('article', { hasText: text }).filter({ has: page.locator('.quiet', { hasText: state }) })

  const questions = ['why is tea hot', 'why is milk white']
  const expected = Promise.all(questions.map(whole))
  await question('why is tea hot')
  await answer(second, 'why is tea hot', 'writing').waitFor()
  await question('why is milk white')
  await first.reload() // in the middle of both
  proxy.cut()
  for (const page of [first, second]) {
    for (const [index, text] of questions.entries()) {
      await answer(page, text, 'done').waitFor()
      const shown = await page.locator('article', { hasText: text }).locator('p').textContent()
      t.equal(shown, (await expected)[index], 'the whole answer')
    }
    t.equal(await page.locator('article').count(), 2)
  }

  await question('when does it stop')
  await answer(second, 'when does it stop', 'writing').waitFor()
  await second.locator('article', { hasText: 'when does it stop' }).locator('button').click()
  for (const page of [first, second]) await answer(page, 'when does it stop', 'stopped').waitFor()
  const third = await adas.open(url)
  await third.locator('article:nth-child(3)').waitFor()
  await answer(third, 'when does it stop', 'stopped').waitFor()
  t.same(adas.faults, [])
})

t.test('what a client may not do', async (t) => {
  const server = await ExampleServer.start(t, 'llm-stream')
  const path = '/connection/websocket'
  t.equal(await server.handshake(path), 401)
  t.equal((await server.request('POST', '/questions', { question: 'a' })).status, 401)
  const cookie = await server.login('ada')
  t.equal(await server.handshake(path, { cookie, origin: 'https://evil.example' }), 403)
  const ask = (question: string) => server.request('POST', '/questions', { question }, { cookie })
  t.equal((await ask('')).status, 400)
  t.equal((await ask('a'.repeat(2_001))).status, 400)
  const { id } = (await (await ask('one')).json()) as { id: string }
  t.equal((await ask('two')).status, 202)
  t.equal((await ask('three')).status, 429, 'two at a time')

  const eve = { cookie: await server.login('eve') }
  t.equal((await server.request('DELETE', `/questions/${id}`, undefined, eve)).status, 404)
  const client = server.centrifuge(eve)
  client.connect()
  for (const channel of ['answers/ada', `answers/ada/${id}`]) {
    const foreign = client.newSubscription(channel, { since: { offset: 0, epoch: '' } })
    foreign.subscribe()
    t.match(await next(foreign, 'unsubscribed'), { code: 103 }, channel)
  }

  // The end of the process ends the answers, and those who watch see it.
  const ada = server.centrifuge({ cookie })
  ada.connect()
  const answer = ada.newSubscription(`answers/ada/${id}`, { delta: 'fossil', since: { offset: 0, epoch: '' } })
  const states: string[] = []
  answer.on('publication', ({ data }) => states.push(data.state))
  answer.subscribe()
  await next(answer, 'publication')
  t.equal(await server.end(), 0)
  t.equal(states.at(-1), 'stopped')
})

t.test('the model of the example ends when it is aborted', async (t) => {
  const controller = new AbortController()
  controller.abort()
  await t.rejects(ask('a', controller.signal).next(), { name: 'AbortError' })
})
