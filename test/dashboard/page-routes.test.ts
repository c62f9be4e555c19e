import { type Test, test } from 'tap'
import dashboard from '../../lib/dashboard/index.ts'
import { type BuildOptions, buildApp } from '../support/app.ts'

async function appWith(t: Test, prefix: string, fastify: BuildOptions['fastify'] = {}) {
  const { app } = await buildApp(t, { auth: false }, { jwt: false, fastify })
  await app.register(dashboard, { prefix, key: 'a-key-of-many-characters' })
  return app
}

test('the files, with their types', async (t) => {
  const app = await appWith(t, '/dashboard')
  const types = { '': /html/, 'page.css': /css/, 'page.js': /javascript/, 'icon.svg': /svg/ }
  for (const [name, type] of Object.entries(types)) {
    const { statusCode, headers, body } = await app.inject({ url: `/dashboard/${name}` })
    t.equal(statusCode, 200)
    t.match(headers['content-type'], type)
    t.ok(body.length > 100)
    t.notMatch(body, /a-key-of-many-characters/)
  }
})

test('what the browser has is not sent again', async (t) => {
  const app = await appWith(t, '/dashboard')
  const { headers } = await app.inject({ url: '/dashboard/page.js' })
  const again = await app.inject({ url: '/dashboard/page.js', headers: { 'if-none-match': String(headers.etag) } })
  t.equal(again.statusCode, 304)
  t.equal(again.body, '')
})

test('without the slash at its end the address leads to the one with it, under any path of a proxy', async (t) => {
  const app = await appWith(t, '/ops/dashboard')
  const { statusCode, headers } = await app.inject({ url: '/ops/dashboard?a=/b' })
  t.equal(statusCode, 302)
  t.equal(headers.location, './dashboard/')
  const { href } = new URL(String(headers.location), 'https://example.com/proxy/ops/dashboard')
  t.equal(href, 'https://example.com/proxy/ops/dashboard/')
  const root = await appWith(t, '/')
  t.equal((await root.inject({ url: '/' })).statusCode, 200)
  const lenient = await appWith(t, '/d', { routerOptions: { ignoreTrailingSlash: true } })
  t.equal((await lenient.inject({ url: '/d' })).statusCode, 302)
  t.equal((await lenient.inject({ url: '/d/' })).statusCode, 200)
})
