/** Reading JSON that comes from outside: what is not of the expected shape is undefined. */

import { isObject } from '../json/object.ts';

export { isObject };
export type JsonObject = Readonly<Record<string, unknown>>;

export const objectIn = (object: JsonObject | undefined, name: string): JsonObject | undefined => {
  const value = object?.[name];
  return isObject(value) ? value : undefined;
};

/** A text that is not empty. */
export const textIn = (object: JsonObject | undefined, name: string): string | undefined => {
  const value = object?.[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
};
