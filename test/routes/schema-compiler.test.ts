import t from 'tap'
import { SchemaCompiler } from '../../lib/routes/schema-compiler.ts'

t.test('a schema is compiled with what it belongs to', async (t) => {
  const compilers = { validatorCompiler: (part: object) => part, serializerCompiler: (part: object) => part }
  const compiler = new SchemaCompiler(compilers as never, { method: 'GET', url: '/live' }, () => new Error())
  t.same(compiler.validator('message', 1), { method: 'GET', url: '/live', schema: 1, httpPart: 'message' })
  t.same(compiler.validator('data', 2, 'body'), { method: 'GET', url: '/live', schema: 2, httpPart: 'body' })
  t.same(compiler.serializer('reply', 3), { method: 'GET', url: '/live', schema: 3, httpStatus: '200' })
})

t.test('the error of one that does not compile names it, and has the compiler’s error as its cause', async (t) => {
  const cause = new Error('no such type')
  const compiler = () => {
    throw cause
  }
  const compilers = { validatorCompiler: compiler, serializerCompiler: compiler }
  const refuse = (fix: string) => new RangeError(`Route /live: ${fix}`)
  const schemas = new SchemaCompiler(compilers, { method: 'GET', url: '/live' }, refuse)
  for (const kind of ['validator', 'serializer'] as const) {
    t.throws(() => schemas[kind]('message', {}), {
      name: 'RangeError',
      message: 'Route /live: schema.message does not compile: no such type',
      cause
    })
  }
})
