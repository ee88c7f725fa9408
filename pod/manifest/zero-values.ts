/**
 * Go's zero values: Kubernetes decodes a manifest into Go structs, in which `args:` (null), `hostIP: ""` and
 * `hostPort: 0` are the same as nothing. Pure.
 */

/** Keys whose value is a map from text to text: in those, null is an empty text and an empty text is a value. */
const textMaps: ReadonlySet<string> = new Set(['labels', 'annotations', 'data', 'stringData', 'binaryData']);

/** Numbers of which 0 is not given; others (`terminationGracePeriodSeconds`) are pointers in Go, and 0 is 0. */
const zeroIsAbsent: ReadonlySet<string> = new Set([
  'hostPort',
  'periodSeconds',
  'timeoutSeconds',
  'successThreshold',
  'failureThreshold',
]);

/** A copy without the keys that say nothing. */
export function withoutZeros(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutZeros);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) => {
      if (inner === null) return [];
      if (textMaps.has(key)) return [[key, withTexts(inner)]];
      const isZero = (inner === '' && key !== 'value') || (inner === 0 && zeroIsAbsent.has(key));
      return isZero ? [] : [[key, withoutZeros(inner)]];
    }),
  );
}

const withTexts = (map: unknown): unknown =>
  typeof map === 'object' && map !== null && !Array.isArray(map)
    ? Object.fromEntries(Object.entries(map).map(([key, text]) => [key, text ?? '']))
    : map;
