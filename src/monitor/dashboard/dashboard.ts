// The dashboard as one handler for every framework. Promise: nobody gets past `auth`, to no place and by no method; what is not the
// dashboard's goes on to the next handler, or is a 404. Start reading at routes.ts for what it answers, auth.ts for who may ask.

import type { Next } from '../../adapters/node-exchange.ts'
import { type LiveView, liveView } from '../live-view.ts'
import type { Asker } from './auth.ts'
import { Feed } from './feed.ts'
import { type Place, pathOfTarget, placeStripped, placeUnder } from './mount.ts'
import { BadRequest, type DashboardRequest, type DashboardResponse, requestFrom, respond } from './node-form.ts'
import { type DashboardOptions, dashboardSettings } from './options.ts'
import { type Places, answerAt, refusal } from './routes.ts'
import { comparerTo, randomText } from './same-origin.ts'
import { secured } from './security-headers.ts'
import { Shown } from './shown.ts'

/** A dashboard, mounted like any handler. */
export interface Dashboard {
  /**
   * For the fetch standard. Outside `basePath` it is a 404.
   * @param native what `auth` gets beside the request (default: the request)
   */
  (request: Request, native?: unknown): Promise<Response>
  /** For node:http, connect and Express: under the path it is mounted at, or else under `basePath`. What is not its own goes on to `next`. */
  (request: DashboardRequest, response: DashboardResponse, next?: Next): void
  /** What it shows. */
  readonly view: LiveView
  /** Ends open pages and, unless it was handed in, the live view. */
  close(): void
}

/**
 * Builds a dashboard: a page about what the limiters of this process do, kept up to date. It watches from now on.
 * @throws ConfigError for an option that is unknown or wrong, and without an `auth` decision outside development
 */
export function dashboard<Native = unknown>(options: DashboardOptions<Native> = {}): Dashboard {
  const {
    admit,
    base,
    title,
    intervalMs,
    maxListeners,
    scheduler,
    view: given,
  } = dashboardSettings(options as DashboardOptions<never>)
  const view = given ?? liveView()
  const shown = new Shown(view)
  const feed = new Feed({ pieces: () => shown.pieces(), intervalMs, maxListeners, scheduler })
  const token = randomText()
  const places: Places = { shown, feed, title, token, isToken: comparerTo(token) }

  const answer = async (asker: Asker, place: Place): Promise<Response> => {
    const denied = await admit(asker)
    const found = denied === undefined ? await answerAt(place, asker.request, places) : secured(denied)
    return asker.request.method === 'HEAD' ? new Response(null, found) : found
  }

  const handle = async (incoming: DashboardRequest, outgoing: DashboardResponse, next: Next | undefined): Promise<void> => {
    const place = placeOf(incoming, base)
    if (place === undefined && next !== undefined) next()
    else await respond(await answerTo(incoming, place), outgoing)
  }

  const answerTo = async (incoming: DashboardRequest, place: Place | undefined): Promise<Response> => {
    try {
      if (place === undefined) return refusal(404, 'There is nothing here.')
      const request = requestFrom(incoming)
      return await answer({ request, native: incoming, peer: incoming.socket?.remoteAddress }, place)
    } catch (error) {
      if (error instanceof BadRequest) return refusal(400, error.message)
      throw error
    }
  }

  function handler(request: Request | DashboardRequest, second?: unknown, next?: Next): Promise<Response> | void {
    if (typeof (second as DashboardResponse | undefined)?.setHeader !== 'function') {
      const asked = request as Request
      const place = placeUnder(base, new URL(asked.url).pathname)
      if (place === undefined) return Promise.resolve(refusal(404, 'There is nothing here.'))
      return answer({ request: asked, native: second ?? asked, peer: undefined }, place)
    }
    const outgoing = second as DashboardResponse
    handle(request as DashboardRequest, outgoing, next).catch((error: unknown) => {
      if (next !== undefined) next(error)
      else {
        // Nobody else would answer.
        if (!outgoing.headersSent) outgoing.statusCode = 500
        if (!outgoing.writableEnded) outgoing.end()
      }
    })
  }

  return Object.assign(handler as Dashboard, {
    view,
    close() {
      feed.close()
      if (given === undefined) view.close()
    },
  })
}

/** By the path as it was received: a framework that has mounted the handler has taken the base off `url` alone. */
function placeOf({ url = '/', originalUrl = url }: DashboardRequest, base: string): Place | undefined {
  const received = pathOfTarget(originalUrl)
  return originalUrl === url ? placeUnder(base, received) : placeStripped(pathOfTarget(url), received)
}
