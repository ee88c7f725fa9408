/** Liveness and readiness, as Kubernetes' probes and people with curl ask for them. */
import { json, type Routes } from '../http.ts';
import type { Health } from './health.ts';

/**
 * `/healthz`: 200 while the process answers at all. `/readyz`: 200 while pods can be made, else 503 and why:
 * `{"ready":false,"reasons":[{"code":"store","text":"...","since":"..."}],"warnings":[]}`.
 * Warnings are what an operator should know of and does not keep pods from being made.
 */
export const healthRoutes = (health: Health): Routes => ({
  '/healthz': () => json(200, { alive: true }),
  '/readyz': () => {
    const { ready, reasons, warnings } = health;
    return json(ready ? 200 : 503, { ready, reasons, warnings });
  },
});
