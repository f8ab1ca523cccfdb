// The answer to a refused HTTP request where the app's own filters leave it to us. Promise: any filter of the app comes first; the answer is
// the same as on every other framework. Next: ../../http/refusal.ts, which words it.

import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common'
import type { HttpAdapterHost } from '@nestjs/core'
import { RateLimitException, Refused } from './exceptions.ts'

/** Nest asks the filter that was registered last first: this one is registered before all others. */
export class RefusalFilter implements ExceptionFilter {
  readonly #host: HttpAdapterHost

  constructor(host: HttpAdapterHost) {
    this.#host = host
  }

  catch(exception: Error, host: ArgumentsHost): void {
    // Not ours to answer; thrown from here, it is not taken for a failure.
    if (host.getType() !== 'http' || !(exception instanceof RateLimitException)) throw exception
    const response: unknown = host.switchToHttp().getResponse()
    const adapter = this.#host.httpAdapter
    if (adapter.isHeadersSent(response)) {
      adapter.end(response)
      return
    }
    adapter.setHeader(response, 'Content-Type', exception.contentType)
    adapter.reply(response, exception.body, exception.getStatus())
  }
}

Catch(Refused)(RefusalFilter)
