/** What the lab says when it cannot go on: one line that names the thing and the remedy. */
export class LabError extends Error {
  override readonly name = 'LabError';
}
