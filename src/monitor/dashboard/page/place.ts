// What the page was told in its head. Next: live.ts.

/** The value of a meta element. */
function told(name: string): string {
  return document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content ?? ''
}

/** Goes with requests that change something. */
export const token = told('token')

const root = told('root')

/** The address of something of the dashboard's. */
export function addressOf(path: string): string {
  return `${root}${path}`
}
