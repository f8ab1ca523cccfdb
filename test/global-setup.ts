// What a test run prepares: the way to ask for real servers. They start when a test file asks, not here.
// Next: servers.ts, which test files use.

import { openControl } from './servers/control.ts'

export default openControl
