// NestJS: the module, the guard for the whole app, and decorators on a controller.

import 'reflect-metadata'
import { Controller, Get, Module } from '@nestjs/common'
import { APP_GUARD, NestFactory } from '@nestjs/core'
import { RateLimit, RateLimitGuard, RateLimitModule, SkipRateLimit } from 'smart-ratelimit/nest'

const port = Number(process.env['PORT'] ?? 3000)

class AppController {
  hello(): string {
    return 'hello\n'
  }

  login(): string {
    return 'welcome\n'
  }

  health(): string {
    return 'fine\n'
  }
}

class AppModule {}

// In your project the decorators stand where they belong: `@Get('login') @RateLimit('3/m') login() { … }`. Node runs this file as it is,
// and as it strips types only, which decorators are not, here they are applied as what they are: functions.
decorate('hello', Get())
decorate('login', Get('login'), RateLimit('3/m'))
decorate('health', Get('health'), SkipRateLimit())
Controller()(AppController)
Module({
  imports: [RateLimitModule.forRoot({ defaultRate: '5/m' })],
  controllers: [AppController],
  providers: [{ provide: APP_GUARD, useExisting: RateLimitGuard }],
})(AppModule)

function decorate(method: 'hello' | 'login' | 'health', ...decorators: MethodDecorator[]): void {
  const property = Object.getOwnPropertyDescriptor(AppController.prototype, method) as PropertyDescriptor
  for (const decorator of decorators) decorator(AppController.prototype, method, property)
}

const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'], abortOnError: false })
await app.listen(port)
console.log(`Listening. The fourth of these is refused:
  curl -i http://localhost:${port}/login
and the sixth of these:
  curl -i http://localhost:${port}/`)
