// Decorators of TypeScript's experimentalDecorators, compiled as users compile them: those of Nest, and the method decorator of every entry.
// This folder has compiler settings of its own. Next: app.ts.

import 'reflect-metadata'
import type { RequestListener } from 'node:http'
import { SetMetadata } from '@nestjs/common'
import express, { type Request, type Response } from 'express'
import { describe, expect, test } from 'vitest'
import { rateLimited } from '../../../src/adapters/express.ts'
import { rateLimited as fetchLimited } from '../../../src/adapters/fetch.ts'
import { ConfigError } from '../../../src/core/errors.ts'
import { setUp } from '../contract.ts'
import { serve } from '../http.ts'
import { PLATFORMS, serveApp } from '../nest-app.ts'
import { warningsDuring } from '../warnings.ts'
import { AppModule } from './app.ts'

describe.each(PLATFORMS)('an app of decorators on Nest on %s', (platform) => {
  test('is limited as they say, without a warning', async () => {
    const warnings = await warningsDuring(async () => {
      await using server = await serveApp(platform, AppModule)
      const list = await server.get('/cats')
      expect(list).toMatchObject({
        status: 200,
        body: '["Tom"]',
        headers: { 'x-ratelimit-limit': '5', 'x-ratelimit-remaining': '4' },
      })
      const adopted = []
      for (const owner of ['a', 'a', 'a', 'b'])
        adopted.push(JSON.parse((await server.get('/cats', { 'x-owner': owner }, 'POST')).body))
      expect(adopted).toEqual([{ adopted: true }, { adopted: true }, { adopted: false }, { adopted: true }])
      const photos = []
      for (let i = 0; i < 4; i++) photos.push((await server.get('/cats/photos')).status)
      expect(photos).toEqual([200, 200, 200, 429])
      expect((await server.get('/cats/health')).headers['x-ratelimit-limit']).toBeUndefined()
    })
    expect(warnings).toEqual([])
  })
})

describe('the method decorator of other entries', () => {
  const { store } = setUp()

  class Reports {
    readonly title = 'Report'

    @rateLimited({ name: 'legacy-yearly', rate: '1/m', store })
    @SetMetadata('audience', 'everybody')
    yearly(_request: Request, response: Response): void {
      response.send(this.title)
    }

    @fetchLimited({ name: 'legacy-static', rate: '1/m', key: 'static:all', store })
    static async monthly(_request: globalThis.Request): Promise<globalThis.Response> {
      return new Response(this.name)
    }
  }

  test('limits a method; name, parameters, `this` and what other decorators noted stay', async () => {
    const reports = new Reports()
    const app = express().get('/', (request, response) => reports.yearly(request, response))
    await using server = await serve(app as RequestListener)
    expect(await server.get('/')).toMatchObject({ status: 200, body: 'Report', headers: { 'x-ratelimit-limit': '1' } })
    expect((await server.get('/')).status).toBe(429)
    const property = Object.getOwnPropertyDescriptor(Reports.prototype, 'yearly')
    expect(property).toMatchObject({ enumerable: false, writable: true })
    expect(property?.value).toHaveLength(2)
    expect(property?.value).toHaveProperty('name', 'yearly')
    expect(Reflect.getMetadata('audience', property?.value as object)).toBe('everybody')
  })

  test('limits a static method', async () => {
    const request = () => new globalThis.Request('http://localhost/')
    expect(await (await Reports.monthly(request())).text()).toBe('Reports')
    expect((await Reports.monthly(request())).status).toBe(429)
  })

  test('is an error on anything but a method', () => {
    const decorate = rateLimited({ rate: '1/m', store }) as unknown as PropertyDecorator &
      ClassDecorator &
      MethodDecorator &
      ParameterDecorator
    const wrong = [
      () => {
        class Field {
          @decorate field = 1
        }
        return Field
      },
      () => {
        class Accessor {
          @decorate get accessor(): number {
            return 1
          }
        }
        return Accessor
      },
      () => {
        @decorate
        class Whole {}
        return Whole
      },
      () => {
        class Parameter {
          method(@decorate parameter: number): number {
            return parameter
          }
        }
        return Parameter
      },
    ]
    for (const one of wrong) expect(one).toThrow(ConfigError)
    expect(wrong[0]).toThrow('@rateLimited: expected a method to decorate, received "field"')
  })
})
