import t from 'tap'
import { type CompiledValidator, runValidator } from '../../lib/input/validator.ts'

const data = { a: 1 }
const answering = (answer: unknown, errors?: unknown[] | null) =>
  Object.assign(() => answer, { errors }) as CompiledValidator

t.test('Ajv’s kind: true or false, with the errors on the function', async (t) => {
  t.same(runValidator(answering(true), data), { value: data })
  t.same(runValidator(answering(false, [{ keyword: 'type' }]), data), { issues: [{ keyword: 'type' }] })
  t.same(runValidator(answering(false, null), data), { issues: [] })
  t.same(runValidator(answering(undefined), data), { value: data }, 'no answer is no objection, as for bodies')
  t.same(runValidator(answering(null), data), { value: data })
})

t.test('the { value, error } kind: the value may be another', async (t) => {
  t.same(runValidator(answering({ value: { a: '1' } }), data), { value: { a: '1' } })
  t.same(runValidator(answering({ value: undefined }), data), { value: undefined })
  t.same(runValidator(answering({ value: 2, error: undefined }), data), { value: 2 })
  t.same(runValidator(answering({ error: null }), data), { value: data })
})

t.test('an error’s findings, as each library keeps them', async (t) => {
  const findings = [{ message: 'no' }]
  const errors = [
    findings,
    { issues: findings },
    { validation: findings },
    { validation: findings, issues: [] },
    new Error('no')
  ]
  for (const error of errors) t.same(runValidator(answering({ error }), data), { issues: findings })
})

t.test('what a validator throws is thrown', async (t) => {
  const fault = new Error('broken')
  const validator = () => {
    throw fault
  }
  t.throws(() => runValidator(validator, data), fault)
})

t.test('an asynchronous validator is an error, whatever becomes of its promise', async (t) => {
  const unhandled: unknown[] = []
  const note = (error: unknown) => unhandled.push(error)
  process.on('unhandledRejection', note)
  for (const promise of [Promise.resolve(true), Promise.reject(new Error('late'))]) {
    t.throws(() => runValidator(answering(promise), data), { name: 'TypeError', message: /Asynchronous/ })
  }
  await new Promise(setImmediate)
  process.off('unhandledRejection', note)
  t.same(unhandled, [])
})
