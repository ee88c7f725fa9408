/** `performance.now()` for the standalone plugin, whose build puts this in its place (scripts/build/lean.ts). */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}
