/** Kubernetes' quantities: `10M`, `512Mi`, `1e6`, `0.5G` (apimachinery, `resource.Quantity`). */

const factors: Readonly<Record<string, number>> = {
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** Its value; undefined if the text is not a quantity. */
export function quantityOf(text: string): number | undefined {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|(m|[kMGTPE]|[KMGTPE]i))?$/.exec(text);
  if (!match) return undefined;
  const [, digits = '', exponent = '', suffix = ''] = match;
  const value = Number(`${digits}${exponent}`) * (factors[suffix] ?? Number.NaN);
  return Number.isFinite(value) ? value : undefined;
}

/** Its value, rounded up to a whole number; undefined if the text is not a quantity. */
export function parseQuantity(text: string): number | undefined {
  const value = quantityOf(text);
  return value === undefined ? undefined : Math.ceil(value);
}
