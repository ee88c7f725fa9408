/** The page's files as text. A bundle has them inside in place of this module (scripts/build/bundle.ts). */
import { readFileSync } from 'node:fs';
import { sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Assets {
  readonly html: string;
  readonly css: string;
  readonly js: string;
}

/** They are beside the source, and not beside what tsc makes of it. */
const folder = fileURLToPath(new URL('assets/', import.meta.url)).replace(
  `${sep}build${sep}agent`,
  `${sep}agent`,
);
const read = (name: string): string => readFileSync(`${folder}${name}`, 'utf8');

export const assets: Assets = { html: read('page.html'), css: read('page.css'), js: read('page.js') };
