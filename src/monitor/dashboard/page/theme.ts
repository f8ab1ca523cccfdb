// Light and dark: the system's, or the reader's own choice, which is remembered. Next: page.css.

/** What a reader can choose. */
export const THEMES = ['auto', 'light', 'dark'] as const

/** One of {@link THEMES}. */
export type Theme = (typeof THEMES)[number]

const KEY = 'smart-ratelimit-theme'
const darkSystem = matchMedia('(prefers-color-scheme: dark)')

/** What was chosen last. */
export function chosenTheme(): Theme {
  let stored: string | null = null
  try {
    stored = localStorage.getItem(KEY)
  } catch {
    // A browser that keeps nothing.
  }
  return THEMES.find((theme) => theme === stored) ?? 'auto'
}

/** Shows and remembers a choice. */
export function chooseTheme(theme: Theme): void {
  try {
    localStorage.setItem(KEY, theme)
  } catch {
    // As above: it is a choice for this page then.
  }
  applyTheme(theme)
}

/** Shows a choice. */
export function applyTheme(theme: Theme): void {
  const isDark = theme === 'dark' || (theme === 'auto' && darkSystem.matches)
  document.documentElement.dataset['theme'] = isDark ? 'dark' : 'light'
  document.dispatchEvent(new Event('theme'))
}

darkSystem.addEventListener('change', () => applyTheme(chosenTheme()))
