/** `/metrics` in the text format of Prometheus. */
import type { Routes } from '../serve/http.ts';
import type { MetricSources } from './sources.ts';

export const metricsRoutes = (sources: MetricSources): Routes => ({
  '/metrics': async () => {
    const { contentType, exposition } = await import('./exposition.ts');
    return { status: 200, type: contentType, body: await exposition(sources) };
  },
});
