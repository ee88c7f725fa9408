/**
 * The status page: what `weftctl status` and `weftctl events` show, live in a browser. It changes nothing, and costs
 * nothing until the first request: what makes it is loaded then.
 */
import { json, type Page, type Routes } from '../serve/http.ts';
import type { PageSources } from './sources.ts';
import type { Viewers } from './viewers.ts';

/** Nothing from elsewhere, nothing inline, in no frame. */
const headers = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
} as const;

export function pageRoutes(sources: PageSources): Routes {
  let viewers: Viewers | undefined;
  return {
    '/': () => asset('html', 'text/html; charset=utf-8'),
    '/page.css': () => asset('css', 'text/css; charset=utf-8'),
    '/page.js': () => asset('js', 'text/javascript; charset=utf-8'),
    '/stream': async (_query, request) => {
      const site = request.headers['sec-fetch-site'];
      if (site !== undefined && site !== 'same-origin' && site !== 'none') {
        return json(403, { error: 'the stream is for the page of this agent' });
      }
      const { Viewers } = await import('./viewers.ts');
      viewers ??= new Viewers(sources);
      if (viewers.isFull) return json(503, { error: 'too many browsers show this page; close one' });
      const { add } = viewers;
      return { status: 200, type: 'text/event-stream; charset=utf-8', headers, stream: add };
    },
  };
}

async function asset(name: 'html' | 'css' | 'js', type: string): Promise<Page> {
  const { assets } = await import('./assets.ts');
  return { status: 200, type, headers, body: assets[name] };
}
