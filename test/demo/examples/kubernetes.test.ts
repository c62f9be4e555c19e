import { join } from 'node:path'
import t from 'tap'
import { code, read, root, table } from '../../docs/pages.ts'
import { run } from '../../docs/programs.ts'
import { manifests } from '../../support/manifests.ts'

/* The manifests were not run. They are checked against Kubernetes's published types, each other, and the server. */

const TYPES: Readonly<Record<string, string>> = {
  Deployment: 'apps/v1',
  Service: 'core/v1',
  Ingress: 'networking/v1',
  PodDisruptionBudget: 'policy/v1',
  HorizontalPodAutoscaler: 'autoscaling/v2'
}
const all = manifests()
const { Deployment, Service, Ingress, PodDisruptionBudget, HorizontalPodAutoscaler } = all
const server = read('demo/examples/cluster/server.ts')
const [container, ...more] = Deployment.spec.template.spec.containers

t.test('they have the published types, and a misspelt key fails', async (t) => {
  t.same(Object.keys(all).sort(), Object.keys(TYPES).sort())
  const declared = Object.entries(TYPES).map(([kind, path]) => {
    const json = JSON.stringify(all[kind])
    // The first key of each part.
    const misspelt = json.replace(/"(spec|metadata)":\{"([a-z]\w+)"/g, '"$1":{"$2s"')
    return `import type { ${kind} } from 'kubernetes-types/${path}'
export const right${kind}: ${kind} = ${json}
// @ts-expect-error: misspelt
export const misspelt${kind}: ${kind} = ${misspelt}
`
  })
  const deep = JSON.stringify(Deployment)
  const wrong = [
    ['periodSeconds', 'periodSecond'],
    ['secretKeyRef', 'secretRef'],
    ['"containerPort":3000', '"containerPort":"3000"'],
    ['"replicas":3', '"replicas":"3"'],
    ['runAsNonRoot', 'runAsNonroot']
  ] as const
  const faults = wrong.map(([from, to], index) => {
    t.ok(deep.includes(from), from)
    return `// @ts-expect-error: ${to}\nexport const fault${index}: Deployment = ${deep.replace(from, to)}\n`
  })
  const folder = t.testdir({
    'manifests.ts': [...declared, ...faults].join('\n'),
    'tsconfig.json': JSON.stringify({
      compilerOptions: { strict: true, module: 'esnext', moduleResolution: 'bundler', types: [], noEmit: true },
      files: ['manifests.ts']
    })
  })
  t.equal(await run(join(root, 'node_modules/.bin/tsc'), ['-p', folder]), '0 ')
})

t.test('they fit each other', async (t) => {
  const { labels } = Deployment.spec.template.metadata
  for (const selector of [
    Deployment.spec.selector.matchLabels,
    Service.spec.selector,
    PodDisruptionBudget.spec.selector.matchLabels
  ]) {
    t.same(selector, labels)
  }
  t.same(more, [])
  t.equal(Service.spec.ports[0].targetPort, container.ports[0].name)
  const { service } = Ingress.spec.rules[0].http.paths[0].backend
  t.same(service, { name: Service.metadata.name, port: { name: Service.spec.ports[0].name } })
  t.same(Ingress.spec.tls[0].hosts, [Ingress.spec.rules[0].host])
  const { apiVersion, kind, metadata } = Deployment
  t.same(HorizontalPodAutoscaler.spec.scaleTargetRef, { apiVersion, kind, name: metadata.name })
  t.equal(HorizontalPodAutoscaler.spec.minReplicas, Deployment.spec.replicas)
  t.ok(PodDisruptionBudget.spec.maxUnavailable < Deployment.spec.replicas)
})

t.test('they fit the server of the example for node:cluster', async (t) => {
  for (const [probe, path] of [
    ['readinessProbe', '/ready'],
    ['livenessProbe', '/health']
  ] as const) {
    t.same(container[probe].httpGet, { path, port: container.ports[0].name })
    t.ok(server.includes(`app.get('${path}'`), path)
  }
  const variables = new Map<string, { value?: string; valueFrom?: object }>(
    container.env.map(({ name, ...rest }: { name: string }) => [name, rest])
  )
  for (const name of variables.keys()) {
    if (name !== 'NODE_ENV') t.match(server, new RegExp(`process\\.env\\.${name}\\b|readSecret\\('${name}'\\)`), name)
  }
  t.equal(Number(variables.get('PORT')?.value), container.ports[0].containerPort)
  t.match(variables.get('NODE_ENV'), { value: 'production' })
  t.match(variables.get('WORKERS'), { value: '0' })
  for (const secret of ['REDIS_URL', 'JWT_SECRET']) t.same(Object.keys(variables.get(secret) ?? {}), ['valueFrom'])
  const readme = read('demo/examples/kubernetes/README.md')
  for (const key of ['redis-url', 'jwt-secret']) t.ok(readme.includes(`--from-literal=${key}=`), key)
})

t.test('each time is longer than the one inside it', async (t) => {
  const defaultOf = (option: string) =>
    Number(code(table('docs/options.md', 'option').find((row) => code(row.option) === option)?.default)) / 1_000
  const [, alone] = /skip: cluster\.isWorker/.test(server) ? (/delay: ([\d_]+), skip: cluster/.exec(server) ?? []) : []
  const delay = Number(alone?.replace('_', '')) / 1_000
  const { command } = container.lifecycle.preStop.exec
  t.equal(command[0], 'sleep')
  const preStop = Number(command[1])
  const { readinessProbe } = container
  t.ok(delay > defaultOf('drain.timeout'))
  t.ok(Deployment.spec.template.spec.terminationGracePeriodSeconds > preStop + delay)
  t.ok(preStop > readinessProbe.periodSeconds * readinessProbe.failureThreshold, 'time to take it out of the service')
  for (const annotation of ['proxy-read-timeout', 'proxy-send-timeout']) {
    const timeout = Number(Ingress.metadata.annotations[`nginx.ingress.kubernetes.io/${annotation}`])
    t.ok(timeout > 2 * defaultOf('heartbeat.interval'), annotation)
  }
  const { stabilizationWindowSeconds, policies } = HorizontalPodAutoscaler.spec.behavior.scaleDown
  t.ok(stabilizationWindowSeconds > Deployment.spec.template.spec.terminationGracePeriodSeconds)
  t.ok(policies[0].periodSeconds > Deployment.spec.template.spec.terminationGracePeriodSeconds)
})
