/** Module hooks that change one piece of one module, after its types are stripped. */
let mutation

export function initialize(data) {
  mutation = data
}

export async function load(url, context, nextLoad) {
  const result = await nextLoad(url, context)
  if (!url.endsWith(`/${mutation.file}`)) return result
  const parts = String(result.source).split(mutation.find)
  if (parts.length !== 2) throw new Error(`${mutation.find} stands ${parts.length - 1} times in ${mutation.file}`)
  return { ...result, source: parts.join(mutation.replace) }
}
