/** Liveness and readiness, as Kubernetes' probes and people with curl ask for them. */
import { json, type Routes } from '../http.ts';
import type { Health } from './health.ts';

/**
 * `/healthz`: 200 while the process answers at all. `/readyz`: 200 while pods can be made, else 503 and why:
 * `{"ready":false,"reasons":[{"code":"store","text":"...","since":"..."}]}`.
 */
export const healthRoutes = (health: Health): Routes => ({
  '/healthz': () => json(200, { alive: true }),
  '/readyz': () => {
    const { reasons } = health;
    return json(health.ready ? 200 : 503, { ready: health.ready, reasons });
  },
});
