/**
 * Imported first, for libuv reads the size when its pool is first used: besides Node.js's own four threads, one
 * parked in each poll for notifications, and those that a removal of links holds until the kernel lets it go.
 */
process.env.UV_THREADPOOL_SIZE ??= '12';
