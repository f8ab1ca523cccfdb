// An app as Nest's users write it: decorators of the older kind, and injection by the types of parameters. Next: legacy.test.ts.

import 'reflect-metadata'
import { Controller, Get, Injectable, Module, Post, Req, UseGuards } from '@nestjs/common'
import { APP_GUARD } from '@nestjs/core'
import { type NestRequest, RateLimit, RateLimitGuard, RateLimitModule, SkipRateLimit } from '../../../src/adapters/nest/index.ts'
import { memoryStore } from '../../../src/stores/memory/memory-store.ts'

@Injectable()
export class Cats {
  readonly all: readonly string[] = ['Tom']
}

@Controller('cats')
@RateLimit('5/m')
export class CatsController {
  readonly #cats: Cats

  constructor(cats: Cats) {
    this.#cats = cats
  }

  @Get()
  list(): readonly string[] {
    return this.#cats.all
  }

  @Post()
  @RateLimit({ rate: '2/m', key: (request) => String(request.headers['x-owner']), block: false })
  adopt(@Req() request: NestRequest): { adopted: boolean } {
    return { adopted: request.rateLimit?.allowed === true }
  }

  @Get('photos')
  @RateLimit({ scope: 'downloads', cost: 2 }, '4/m')
  @UseGuards(RateLimitGuard)
  photos(): string {
    return 'a photo'
  }

  @SkipRateLimit()
  @Get('health')
  health(): string {
    return 'purring'
  }
}

@Module({
  imports: [
    RateLimitModule.forRootAsync({
      useFactory: () => ({ defaultRate: '9/m', scopes: { downloads: '6/h' }, store: () => memoryStore() }),
    }),
  ],
  controllers: [CatsController],
  providers: [Cats, { provide: APP_GUARD, useClass: RateLimitGuard }],
})
export class AppModule {}
