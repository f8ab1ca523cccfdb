// The page begins here. Next: app.tsx.

import { render } from 'preact'
import { App } from './app.tsx'
import { applyTheme, chosenTheme } from './theme.ts'

applyTheme(chosenTheme())
const place = document.getElementById('app')
if (place !== null) {
  place.textContent = ''
  render(<App title={document.title} />, place)
}
