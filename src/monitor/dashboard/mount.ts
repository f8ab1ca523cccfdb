// Where the dashboard is mounted, and which of its places a request asks for. Promise: under any base path and behind a proxy that
// strips one; what is not its own is told apart from what is its own and does not exist. Next: routes.ts.

import { ConfigError } from '../../core/errors.ts'

/** The part of a request's path that is the dashboard's own: `/` the page, `/api/…`; `''` the page without the slash at its end. */
export type Place = string

/**
 * A base path in one form: `/a/b`, or `''` for the root.
 * @throws ConfigError for a text that does not begin with a slash, or holds what a path cannot
 */
export function checkedBase(base: unknown, option: string): string {
  if (typeof base !== 'string' || !/^\/[\w\-.~/%@:+]*$/.test(base) || base.includes('//')) {
    throw new ConfigError(option, 'a path that begins with "/", such as "/dashboard"', base)
  }
  return base.replace(/\/$/, '')
}

/** The place that a whole path asks for; undefined for a path outside the base. */
export function placeUnder(base: string, path: string): Place | undefined {
  if (path === base) return ''
  return path.startsWith(`${base}/`) ? path.slice(base.length) : undefined
}

/**
 * The place where a framework has mounted the handler itself and so stripped the base: it leaves `/` both for the base and for the base
 * with a slash, and the path as received tells which.
 */
export function placeStripped(stripped: string, received: string): Place {
  return stripped === '/' && !received.endsWith('/') ? '' : stripped
}

/** The path of a request target. */
export function pathOfTarget(target: string): string {
  return target.split(/[?#]/, 1)[0] ?? '/'
}

/**
 * Where the page's files and data are, as an address relative to the page: right with and without a slash at the page's end, whatever the
 * proxies on the way have stripped, and never on another host.
 */
export function rootSeenFrom(pagePath: string): string {
  return `./${pagePath.slice(pagePath.lastIndexOf('/') + 1)}/`.replace('.//', './')
}
