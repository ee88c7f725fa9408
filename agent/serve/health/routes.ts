/** Liveness and readiness, for Kubernetes' probes and for people with curl. */
import { json, type Routes } from '../http.ts';
import type { Health } from './health.ts';

/**
 * `/livez`, and `/healthz` by its older name: 200 while the process answers. `/readyz`: 200 while pods can be made,
 * else 503 and why: `{"ready":false,"reasons":[...],"warnings":[...]}`, each with code, severity, text, remedy, since.
 * A warning is a problem that does not keep pods from being made.
 */
export const healthRoutes = (health: Health): Routes => ({
  '/livez': () => json(200, { alive: true }),
  '/healthz': () => json(200, { alive: true }),
  '/readyz': () => {
    const { ready, reasons, warnings } = health;
    return json(ready ? 200 : 503, { ready, reasons, warnings });
  },
});
