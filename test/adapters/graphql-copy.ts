// The copy of graphql that Node.js gives the servers. Vite's own resolution finds another file of the package, and graphql knows its own only.

import { createRequire } from 'node:module'
import type * as Graphql from 'graphql'

export const graphql = createRequire(import.meta.url)('graphql') as typeof Graphql
