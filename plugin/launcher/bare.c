// What the relay needs of a C library, and a start that does nothing but call main.
//
// glibc's start asks the processor some thirty times what it can do (CPUID), and each question leaves the virtual
// machine that most hosts are: 0.2 to 0.4 ms, a tenth of an ADD. Nothing here needs an answer.
// For Linux on x86-64 and AArch64; elsewhere the relay is linked with the system's library.
#define _DEFAULT_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

char **environ;
static int error;
int *__errno_location(void) { return &error; }

#if defined __x86_64__
__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");
static long enter(long number, long a, long b, long c, long d, long e) {
  long result;
  register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = 0;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
#elif defined __aarch64__
__asm__(".globl _start\n_start: mov x29, #0\n mov x30, #0\n mov x0, sp\n b begin\n");
static long enter(long number, long a, long b, long c, long d, long e) {
  register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = 0;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
#else
#error "the system's C library is for this processor"
#endif

// Every call has six arguments at most; those that it does not have are not looked at.
#define ENTER5(number, a, b, c, d, e, ...) settle(enter(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e)))
#define ENTER(...) ENTER5(__VA_ARGS__, 0, 0, 0, 0, 0, 0)

static long settle(long result) {
  if (result >= 0 || result < -4095) return result;
  return error = (int)-result, -1;
}

void _exit(int status) {
  for (;;) enter(SYS_exit_group, status, 0, 0, 0, 0);
}

// The canary's value, from the kernel's random bytes; a frame that was overrun ends the process.
unsigned long __stack_chk_guard;
__attribute__((noreturn)) void __stack_chk_fail(void);
void __stack_chk_fail(void) {
  static const char words[] = "weft: stack overrun\n";
  enter(SYS_write, STDERR_FILENO, (long)words, sizeof words - 1, 0, 0);
  _exit(134);
}

int main(int argc, char **argv);
__attribute__((noreturn, used)) void begin(long *stack);
void begin(long *stack) { // argc, argv, NULL, environment, NULL, auxiliary vector: pairs of type and value
  char **argv = (char **)(stack + 1);
  environ = argv + *stack + 1;
  char **end = environ;
  while (*end) end++;
  for (long *pair = (long *)(end + 1); pair[0] != 0; pair += 2)
    if (pair[0] == 25) __stack_chk_guard = *(unsigned long *)pair[1] & ~0xfful; // AT_RANDOM; NUL ends what strings leak
  _exit(main((int)*stack, argv));
}

ssize_t read(int fd, void *into, size_t length) { return ENTER(SYS_read, fd, into, length); }
ssize_t write(int fd, const void *from, size_t length) { return ENTER(SYS_write, fd, from, length); }
int close(int fd) { return (int)ENTER(SYS_close, fd); }
int fsync(int fd) { return (int)ENTER(SYS_fsync, fd); }
off_t lseek(int fd, off_t offset, int whence) { return ENTER(SYS_lseek, fd, offset, whence); }
int dup2(int from, int to) { return (int)ENTER(SYS_dup3, from, to, 0); }
int open(const char *path, int flags, ...) { return (int)ENTER(SYS_openat, AT_FDCWD, path, flags, 0600); }
int access(const char *path, int mode) { return (int)ENTER(SYS_faccessat, AT_FDCWD, path, mode); }
int mkdir(const char *path, mode_t mode) { return (int)ENTER(SYS_mkdirat, AT_FDCWD, path, mode); }
int unlink(const char *path) { return (int)ENTER(SYS_unlinkat, AT_FDCWD, path, 0); }
int rename(const char *from, const char *to) { return (int)ENTER(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0); }
ssize_t readlink(const char *path, char *into, size_t size) {
  return ENTER(SYS_readlinkat, AT_FDCWD, path, into, size);
}
int memfd_create(const char *name, unsigned flags) { return (int)ENTER(SYS_memfd_create, name, flags); }
int execve(const char *path, char *const argv[], char *const env[]) {
  return (int)ENTER(SYS_execve, path, argv, env);
}
pid_t getpid(void) { return (pid_t)ENTER(SYS_getpid); }
uid_t geteuid(void) { return (uid_t)ENTER(SYS_geteuid); }
int clock_gettime(clockid_t clock, struct timespec *time) { return (int)ENTER(SYS_clock_gettime, clock, time); }
int poll(struct pollfd *fds, nfds_t count, int timeout_ms) {
  struct timespec time = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000L};
  return (int)ENTER(SYS_ppoll, fds, count, timeout_ms < 0 ? NULL : &time, NULL, 0);
}
unsigned alarm(unsigned seconds) {
  struct itimerval timer = {.it_value.tv_sec = seconds};
  return (unsigned)ENTER(SYS_setitimer, ITIMER_REAL, &timer, NULL);
}
// SIG_DFL and SIG_IGN only: a handler would need a way back. The kernel's own struct sigaction.
sig_t signal(int number, sig_t handler) {
  struct { sig_t handler; unsigned long flags; void *restorer; unsigned long mask; } action = {.handler = handler};
  return ENTER(SYS_rt_sigaction, number, &action, NULL, sizeof action.mask) < 0 ? SIG_ERR : SIG_DFL;
}
int socket(int domain, int type, int protocol) { return (int)ENTER(SYS_socket, domain, type, protocol); }
int connect(int fd, const struct sockaddr *to, socklen_t length) { return (int)ENTER(SYS_connect, fd, to, length); }
int getsockopt(int fd, int level, int option, void *value, socklen_t *length) {
  return (int)ENTER(SYS_getsockopt, fd, level, option, value, length);
}
int setsockopt(int fd, int level, int option, const void *value, socklen_t length) {
  return (int)ENTER(SYS_setsockopt, fd, level, option, value, length);
}
ssize_t send(int fd, const void *from, size_t length, int flags) {
  return ENTER(SYS_sendto, fd, from, length, flags, NULL);
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) { return ENTER(SYS_sendmsg, fd, message, flags); }
ssize_t recv(int fd, void *into, size_t length, int flags) {
  return ENTER(SYS_recvfrom, fd, into, length, flags, NULL);
}

// The empty statements keep the compiler from making of a loop a call of the function that it is.
#define AS_IT_IS __asm__ volatile("")
void *memcpy(void *restrict into, const void *restrict from, size_t length) {
  for (size_t i = 0; i < length; i++) {
    ((char *)into)[i] = ((const char *)from)[i];
    AS_IT_IS;
  }
  return into;
}
void *memset(void *into, int byte, size_t length) {
  for (size_t i = 0; i < length; i++) {
    ((char *)into)[i] = (char)byte;
    AS_IT_IS;
  }
  return into;
}
int memcmp(const void *one, const void *other, size_t length) {
  const unsigned char *a = one, *b = other;
  for (size_t i = 0; i < length; i++)
    if (a[i] != b[i]) return a[i] - b[i];
  return 0;
}
size_t strlen(const char *text) {
  size_t length = 0;
  for (; text[length]; length++) AS_IT_IS;
  return length;
}
int strncmp(const char *one, const char *other, size_t most) {
  for (size_t i = 0; i < most; i++)
    if (one[i] != other[i] || !one[i]) return (unsigned char)one[i] - (unsigned char)other[i];
  return 0;
}
int strcmp(const char *one, const char *other) { return strncmp(one, other, (size_t)-1); }
static size_t span(const char *text, const char *set, int inside) {
  for (const char *at = text;; at++) {
    const char *found = set;
    while (*found && *found != *at) found++;
    if (!*at || !!*found != inside) return (size_t)(at - text);
  }
}
size_t strspn(const char *text, const char *accepted) { return span(text, accepted, 1); }
size_t strcspn(const char *text, const char *rejected) { return span(text, rejected, 0); }
