/** The version of the package, which the build writes into each bundle. */
declare const WEFT_VERSION: string | undefined;

/** `0.1.0`; `development` where the code runs without having been bundled. */
export const version: string = typeof WEFT_VERSION === 'string' ? WEFT_VERSION : 'development';
