/** The text of what was thrown, on one line, for the tail of a message. */
export const reasonOf = (thrown: unknown): string =>
  (thrown instanceof Error ? thrown.message : String(thrown)).trim().replace(/\s*\n\s*/g, ' ');
