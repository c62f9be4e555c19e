/** Module hooks that change pieces of modules, after their types are stripped. */
let mutations

export function initialize(data) {
  mutations = data
}

export async function load(url, context, nextLoad) {
  const result = await nextLoad(url, context)
  let { source } = result
  for (const { file, find, replace } of mutations) {
    if (!url.endsWith(`/${file}`)) continue
    const parts = String(source).split(find)
    if (parts.length !== 2) throw new Error(`${find} stands ${parts.length - 1} times in ${file}`)
    source = parts.join(replace)
  }
  return { ...result, source }
}
