// The page and what it loads. Promise: read when first asked for, compressed once; the names of scripts and styles change with their content.
// Next: page/index.html, of which ../../../scripts/embed-page.ts makes one module.

import { freshHeaders, lastingHeaders } from './security-headers.ts'

/** What the build makes of page/. */
interface Page {
  readonly html: string
  /** Name → text. */
  readonly files: Readonly<Record<string, string>>
}

const TYPES: Readonly<Record<string, string>> = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
}

let page: Promise<Page> | undefined
const compressed = new Map<string, Promise<Uint8Array<ArrayBuffer>>>()

function loadPage(): Promise<Page> {
  return (page ??= import('./page/index.html'))
}

/** What the page is to know: its heading, the token for its own requests, and where its files are. */
export interface PageValues {
  readonly title: string
  readonly token: string
  readonly root: string
}

/** The page itself. */
export async function pageResponse(values: PageValues): Promise<Response> {
  const { html } = await loadPage()
  const filled = html.replace(/\{\{(title|token|root)\}\}/g, (_, name: keyof PageValues) => escapeHtml(values[name]))
  return new Response(filled, { headers: freshHeaders('text/html; charset=utf-8') })
}

/** One of the page's files; undefined for any other name. */
export async function fileResponse(name: string, { headers: asked }: Request): Promise<Response | undefined> {
  const { files } = await loadPage()
  if (!Object.hasOwn(files, name)) return undefined
  const text = files[name] as string
  const headers = lastingHeaders(TYPES[name.slice(name.lastIndexOf('.') + 1)] ?? 'text/plain')
  if (!/\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i.test(asked.get('accept-encoding') ?? ''))
    return new Response(text, { headers })
  headers.set('Content-Encoding', 'gzip')
  const known = compressed.get(name) ?? gzip(text)
  compressed.set(name, known)
  return new Response(await known, { headers })
}

async function gzip(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream('gzip'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => ENTITIES[char] as string)
}
