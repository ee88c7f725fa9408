/**
 * libc, through koffi. The only place that loads koffi: what Node.js has no call for (netlink, setns,
 * flock, poll) starts here. Each wrapper takes and returns plain values and throws `KernelError`.
 *
 * A function named `...Async` runs on libuv's thread pool and must not depend on the calling thread's
 * namespaces: pool threads always stay in the namespace in which the process started.
 */
import { readSync, writeSync } from 'node:fs';
import koffi from 'koffi';
import { KernelError } from './errors.ts';

const libc = koffi.load(null);
const call = {
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  bind: libc.func('int bind(int fd, const uint8_t *address, uint32_t length)'),
  close: libc.func('int close(int fd)'),
  setsockopt: libc.func(
    'int setsockopt(int fd, int level, int option, const uint8_t *value, uint32_t length)',
  ),
  getsockopt: libc.func(
    'int getsockopt(int fd, int level, int option, uint8_t *value, _Inout_ uint32_t *length)',
  ),
  send: libc.func('intptr_t send(int fd, const uint8_t *data, size_t length, int flags)'),
  sendto: libc.func(
    'intptr_t sendto(int fd, const uint8_t *data, size_t length, int flags, ' +
      'const uint8_t *address, uint32_t addressLength)',
  ),
  recv: libc.func('intptr_t recv(int fd, uint8_t *data, size_t length, int flags)'),
  recvfrom: libc.func(
    'intptr_t recvfrom(int fd, uint8_t *data, size_t length, int flags, ' +
      'uint8_t *address, _Inout_ uint32_t *addressLength)',
  ),
  recvmsg: libc.func('intptr_t recvmsg(int fd, uint8_t *message, int flags)'),
  listen: libc.func('int listen(int fd, int backlog)'),
  accept4: libc.func('int accept4(int fd, void *address, void *length, int flags)'),
  fcntl: libc.func('int fcntl(int fd, int command, ...)'),
  ioctl: libc.func('int ioctl(int fd, uint64_t request, ...)'),
  epoll_create1: libc.func('int epoll_create1(int flags)'),
  epoll_ctl: libc.func('int epoll_ctl(int epoll, int operation, int fd, uint8_t *event)'),
  setns: libc.func('int setns(int fd, int type)'),
  unshare: libc.func('int unshare(int flags)'),
  connect: libc.func('int connect(int fd, const uint8_t *address, uint32_t length)'),
  poll: libc.func('int poll(uint8_t *fds, uint64_t count, int timeout)'),
  eventfd: libc.func('int eventfd(uint32_t initial, int flags)'),
  flock: libc.func('int flock(int fd, int operation)'),
  alarm: libc.func('unsigned int alarm(unsigned int seconds)'),
  exit: libc.func('void _exit(int status)'),
};

function check(result: number, attempted: string): number {
  if (result < 0) throw new KernelError({ errno: koffi.errno(), attempted });
  return result;
}

/** socket(2); always close-on-exec. */
export const socket = (domain: number, type: number, protocol: number): number =>
  check(call.socket(domain, type | SOCK_CLOEXEC, protocol), 'open a socket');

export const bind = (fd: number, address: Buffer, attempted = 'bind a socket'): void => {
  check(call.bind(fd, address, address.length), attempted);
};

export const close = (fd: number): void => {
  check(call.close(fd), `close file descriptor ${fd}`);
};

export function setSocketOption(fd: number, level: number, option: number, value: number): void {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32LE(value);
  check(call.setsockopt(fd, level, option, bytes, 4), `set socket option ${level}/${option}`);
}

/** getsockopt(2) of an option of at most `length` bytes. */
export function getSocketOption(fd: number, level: number, option: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  const size = [length];
  check(call.getsockopt(fd, level, option, bytes, size), `read socket option ${level}/${option}`);
  return bytes.subarray(0, size[0]);
}

/** send(2): returns once the kernel has taken, and for netlink has *processed*, the bytes. */
export const send = (fd: number, data: Uint8Array, flags: number, attempted: string): number =>
  check(call.send(fd, data, data.length, flags), attempted);

/** The same on libuv's thread pool, for requests that block for long (removing a link: an RCU grace period). */
export function sendAsync(fd: number, data: Uint8Array, flags: number, attempted: string): Promise<number> {
  return new Promise((resolve, reject) => {
    call.send.async(fd, data, data.length, flags, (error: Error | null, result: number) => {
      if (error) reject(error);
      else if (result < 0) reject(new KernelError({ errno: koffi.errno(), attempted }));
      else resolve(result);
    });
  });
}

export const sendTo = (fd: number, data: Uint8Array, address: Uint8Array, attempted: string): number =>
  check(call.sendto(fd, data, data.length, MSG_NOSIGNAL, address, address.length), attempted);

/** recv(2), without waiting; undefined where nothing has come (EAGAIN). */
export function recv(fd: number, into: Uint8Array, attempted: string, flags = 0): number | undefined {
  for (;;) {
    const received: number = call.recv(fd, into, into.length, flags | MSG_DONTWAIT);
    if (received >= 0) return received;
    const errno = koffi.errno();
    if (errno === EAGAIN) return undefined;
    if (errno !== EINTR) throw new KernelError({ errno, attempted });
  }
}

/** recvfrom(2): the same, and the sender's address is written to `address`, which is long enough for the family. */
export function recvFrom(
  fd: number,
  into: { data: Uint8Array; address: Uint8Array },
  attempted: string,
): number | undefined {
  for (;;) {
    const { data, address } = into;
    const received: number = call.recvfrom(fd, data, data.length, MSG_DONTWAIT, address, [address.length]);
    if (received >= 0) return received;
    const errno = koffi.errno();
    if (errno === EAGAIN) return undefined;
    if (errno !== EINTR) throw new KernelError({ errno, attempted });
  }
}

/** Memory outside V8's heap, for structures that point to it; it lives for as long as the process. */
export interface NativeMemory {
  readonly buffer: Buffer;
  readonly address: bigint;
}

export function nativeMemory(bytes: number): NativeMemory {
  const memory = koffi.alloc('uint8_t', bytes);
  kept.push(memory);
  return { buffer: Buffer.from(koffi.view(memory, bytes)).fill(0), address: koffi.address(memory) };
}

const kept: unknown[] = [];

/** recvmsg(2) into what `message` (struct msghdr) points to, without waiting; undefined where nothing has come. */
export function recvMessage(
  fd: number,
  message: Buffer,
  flags: number,
  attempted: string,
): number | undefined {
  for (;;) {
    const received: number = call.recvmsg(fd, message, flags | MSG_DONTWAIT);
    if (received >= 0) return received;
    const errno = koffi.errno();
    if (errno === EAGAIN) return undefined;
    if (errno !== EINTR) throw new KernelError({ errno, attempted });
  }
}

/** ioctl(2) of a request without an argument; its result. */
export const ioctl = (fd: number, request: number, attempted: string): number =>
  check(call.ioctl(fd, request), attempted);

/** epoll_create1(2): a descriptor that can be read while one of those that are in it can. */
export const epoll = (): number => check(call.epoll_create1(EPOLL_CLOEXEC), 'make an epoll descriptor');

/** epoll_ctl(2): adds a descriptor to be watched for input and for the end. */
export function epollAdd(epoll: number, fd: number): void {
  const event = Buffer.alloc(16); // struct epoll_event, packed on some processors: data is not used
  event.writeUInt32LE(EPOLLIN | EPOLLRDHUP);
  check(call.epoll_ctl(epoll, EPOLL_CTL_ADD, fd, event), `watch file descriptor ${fd}`);
}

export const epollRemove = (epoll: number, fd: number): void => {
  check(call.epoll_ctl(epoll, EPOLL_CTL_DEL, fd, Buffer.alloc(16)), `stop watching file descriptor ${fd}`);
};

/** listen(2). */
export const listen = (fd: number, backlog: number, attempted: string): void => {
  check(call.listen(fd, backlog), attempted);
};

/** accept4(2), non-blocking; undefined where no connection waits. The accepted socket is non-blocking too. */
export function accept(fd: number): number | undefined {
  for (;;) {
    const accepted: number = call.accept4(fd, null, null, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (accepted >= 0) return accepted;
    const errno = koffi.errno();
    if (errno === EAGAIN) return undefined;
    // ECONNABORTED: this caller is gone; another one may wait.
    if (errno !== EINTR && errno !== ECONNABORTED) {
      throw new KernelError({ errno, attempted: 'accept a connection' });
    }
  }
}

/** fcntl(2), O_NONBLOCK: what would have to wait fails with EAGAIN. */
export function setNonBlocking(fd: number): void {
  const attempted = `make file descriptor ${fd} non-blocking`;
  const flags = check(call.fcntl(fd, F_GETFL), attempted);
  check(call.fcntl(fd, F_SETFL, 'int', flags | O_NONBLOCK), attempted);
}

/** setns(2) of the calling thread into the network namespace behind `fd`. */
export const setns = (fd: number, attempted: string): void => {
  check(call.setns(fd, CLONE_NEWNET), attempted);
};

/** unshare(2): the calling thread has a network namespace of its own from here on, with nothing in it. */
export const unshareNetwork = (): void => {
  check(call.unshare(CLONE_NEWNET), 'make a network namespace');
};

/** connect(2) of a non-blocking socket, to be repeated until it answers; `pending` where it takes longer. */
export function connect(fd: number, address: Uint8Array, attempted: string): 'connected' | 'pending' {
  if (call.connect(fd, address, address.length) === 0) return 'connected';
  const errno = koffi.errno();
  if (errno === EISCONN) return 'connected';
  if (errno === EINPROGRESS || errno === EALREADY || errno === EINTR) return 'pending';
  throw new KernelError({ errno, attempted });
}

/** eventfd(2), non-blocking: a descriptor that another thread's poll can be woken by (`wake`). */
export const eventfd = (): number => check(call.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), 'make an eventfd');

/** Ends every wait for an eventfd, those to come as well, until `calm`. */
export const wake = (eventfd: number): void => {
  writeSync(eventfd, Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]));
};

/** Waits for an eventfd that was woken wait again. */
export const calm = (eventfd: number): void => {
  readSync(eventfd, Buffer.alloc(8));
};

/**
 * Waits on the thread pool until one of the descriptors can be read, has failed or was hung up.
 * Resolves to those descriptors, or to none when `timeoutMs` is over (-1: never). It occupies one pool thread
 * for as long as it waits, and that thread keeps the process from exiting: without a timeout, include an
 * eventfd that the shutdown wakes.
 */
export function pollReadableAsync(fds: readonly number[], timeoutMs = -1): Promise<number[]> {
  const size = 8;
  const set = Buffer.alloc(fds.length * size);
  fds.forEach((fd, i) => {
    set.writeInt32LE(fd, i * size);
    set.writeInt16LE(POLLIN, i * size + 4);
  });
  return new Promise((resolve, reject) => {
    const wait = () => {
      call.poll.async(set, fds.length, timeoutMs, (error: Error | null, result: number) => {
        if (error) return reject(error);
        if (result < 0) {
          const errno = koffi.errno();
          return errno === EINTR ? wait() : reject(new KernelError({ errno, attempted: 'poll' }));
        }
        resolve(fds.filter((_, i) => set.readInt16LE(i * size + 6) !== 0));
      });
    };
    wait();
  });
}

/** malloc_trim(3): gives back to the kernel what the C library has kept of freed memory. Only glibc has it. */
export function trimHeap(): void {
  trim ??= findTrim();
  trim(0);
}

let trim: ((keepBytes: number) => number) | undefined;

function findTrim(): (keepBytes: number) => number {
  try {
    return libc.func('int malloc_trim(size_t pad)');
  } catch {
    return () => 0;
  }
}

/** flock(2), exclusive, without waiting; false where another open file holds the lock. */
export function tryLock(fd: number, attempted: string): boolean {
  const result: number = call.flock(fd, LOCK_EX | LOCK_NB);
  if (result === 0) return true;
  const errno = koffi.errno();
  if (errno === EAGAIN) return false;
  throw new KernelError({ errno, attempted });
}

/** flock(2), exclusive, waiting on the thread pool. */
export function lockAsync(fd: number, attempted: string): Promise<void> {
  return new Promise((resolve, reject) => {
    call.flock.async(fd, LOCK_EX, (error: Error | null, result: number) => {
      if (error) reject(error);
      else if (result < 0) reject(new KernelError({ errno: koffi.errno(), attempted }));
      else resolve();
    });
  });
}

const EINTR = 4;
const EAGAIN = 11;
const ECONNABORTED = 103;
const POLLIN = 1;
const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;
const EISCONN = 106;
const EALREADY = 114;
const EINPROGRESS = 115;
const LOCK_EX = 2;
const LOCK_NB = 4;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLLIN = 1;
const EPOLLRDHUP = 0x2000;
const EFD_CLOEXEC = 0o2000000;
const EFD_NONBLOCK = 0o4000;
const CLONE_NEWNET = 0x40000000;
export const MSG_CTRUNC = 8;
export const MSG_PEEK = 2;
export const MSG_CMSG_CLOEXEC = 0x40000000;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;

/** alarm(2): SIGALRM ends the process after that many seconds, even while the event loop is blocked. */
export const alarm = (seconds: number): void => {
  call.alarm(seconds);
};

/**
 * _exit(2): ends the process at once. `process.exit` waits for the threads of libuv's pool, and one that is in poll(2)
 * without a timeout would keep it from ending.
 */
export const exitNow = (status: number): void => {
  call.exit(status);
};
