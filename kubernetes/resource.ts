/** Which objects a request is about, and its path at the API server (Kubernetes API concepts, Resource URIs). */

export interface Resource {
  /** `''`: the core group. */
  readonly group: string;
  readonly version: string;
  /** `nodes` */
  readonly plural: string;
}

export interface Place extends Resource {
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
}

export const nodes: Resource = { group: '', version: 'v1', plural: 'nodes' };
export const events: Resource = { group: '', version: 'v1', plural: 'events' };

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** `/api/v1/nodes/node-1/status`, with the query; what is undefined is left out. */
export function pathOf(place: Place, query: Query = {}): string {
  const { group, version, plural, namespace, name, subresource } = place;
  const parts = [
    ...(group === '' ? ['api'] : ['apis', group]),
    version,
    ...(namespace === undefined ? [] : ['namespaces', namespace]),
    plural,
    ...(name === undefined ? [] : [name]),
    ...(subresource === undefined ? [] : [subresource]),
  ];
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) search.set(key, String(value));
  const text = search.toString();
  return `/${parts.map(encodeURIComponent).join('/')}${text === '' ? '' : `?${text}`}`;
}

/** As RBAC names it: `nodes/status`, `leases.coordination.k8s.io`. */
export const nameOf = ({ group, plural, subresource }: Place): string =>
  `${plural}${subresource === undefined ? '' : `/${subresource}`}${group === '' ? '' : `.${group}`}`;
