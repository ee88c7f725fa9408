// The executable a container runtime runs for a pod: it carries the call to the agent and the answer back.
// Starting node costs some 60 ms, a pod's network in the warm agent 2: so this is C, static, and does little.
//
//   the agent answers                 its answer
//   nobody listens, or the agent      the standalone plugin beside this file does the call, in this process
//     went before it read the request
//   no standalone plugin either, or   ADD, CHECK, GC: code 11 (try again later); STATUS: code 50;
//     no answer in time               DEL: success, and a tombstone from which the agent does it later
//
// A request that may have been read is never done a second time. VERSION is answered here and needs nobody.
// One bounded buffer each way, a bounded time, no state. The wire format: docs/architecture.md.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifndef RUN_DIR // a test's relay has a folder and a patience of its own
#define RUN_DIR "/run/weft"
#endif
#ifndef ANSWER_SECONDS // runtimes wait 60 s or longer; the agent gives up after 20 s of work
#define ANSWER_SECONDS 25
#endif
enum { HEADER = 16, ENVIRONMENT_MAX = 64 << 10, BODY_MAX = 4 << 20, STDIN_MS = 10000, UNASKED_STDIN_MS = 100 };
enum { INVALID_ENVIRONMENT = 4, INPUT_OUTPUT = 5, INVALID_CONFIG = 7, TRY_AGAIN_LATER = 11, NOT_AVAILABLE = 50 };

static unsigned char request[HEADER + ENVIRONMENT_MAX + BODY_MAX + 1], answer[BODY_MAX];
static size_t stdin_offset, request_length;
static char version[17]; // stdin's cniVersion; empty: none that was found cheaply
static const char *verb = "";

static int is_verb(const char *name) { return strcmp(verb, name) == 0; }

static long long now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

// Waits until fd is ready for events; false once the deadline has passed.
static int wait_for(int fd, short events, long long deadline) {
  for (;;) {
    long long left = deadline - now_ms();
    int ready = poll(&(struct pollfd){.fd = fd, .events = events}, 1, left > 0 ? (int)left : 0);
    if (ready > 0) return 1;
    if (ready == 0 || errno != EINTR) return 0;
  }
}

static int write_all(int fd, const void *bytes, size_t length) {
  for (const char *at = bytes; length > 0;) {
    ssize_t written = write(fd, at, length);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN && wait_for(fd, POLLOUT, now_ms() + ANSWER_SECONDS * 1000)) continue;
    if (written < 0) return -1;
    at += written, length -= (size_t)written;
  }
  return 0;
}

static void put_length(unsigned char *at, size_t value) {
  for (int i = 0; i < 4; i++) at[i] = (unsigned char)(value >> 8 * i);
}

static size_t get_length(const unsigned char *at) {
  return at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
}

__attribute__((noreturn)) static void refuse(int code, const char *message, const char *details) {
  dprintf(STDOUT_FILENO, "{\"cniVersion\":\"%s\",\"code\":%d,\"msg\":\"%s\",\"details\":\"%s\"}\n",
          version[0] ? version : NEWEST_CNI_VERSION, code, message, details);
  exit(EXIT_FAILURE);
}

// CNI's variables and the trace context (SPEC 1.1.0, section 2; W3C); the rest is none of the agent's business.
static void put_environment(void) {
  static const char *const relevant[] = {"CNI_", "TRACEPARENT=", "TRACESTATE=", "BAGGAGE="};
  for (char **variable = environ; *variable; variable++) {
    size_t kind = 0, kinds = sizeof relevant / sizeof *relevant, length = strlen(*variable) + 1;
    while (kind < kinds && strncmp(*variable, relevant[kind], strlen(relevant[kind])) != 0) kind++;
    if (kind == kinds) continue;
    if (length > HEADER + ENVIRONMENT_MAX - request_length)
      refuse(INVALID_ENVIRONMENT, "the variables CNI_* are larger than 65536 bytes", "");
    memcpy(request + request_length, *variable, length), request_length += length;
  }
}

static void put_stdin(void) {
  // Who asks for the version, or nothing at all, need not send a configuration nor close what they left open.
  int asked = is_verb("ADD") || is_verb("DEL") || is_verb("CHECK") || is_verb("GC") || is_verb("STATUS");
  long long deadline = now_ms() + (asked ? STDIN_MS : UNASKED_STDIN_MS);
  for (;;) {
    if (!wait_for(STDIN_FILENO, POLLIN, deadline)) {
      if (!asked) return;
      refuse(INPUT_OUTPUT, "the configuration on standard input did not end within 10 s", "close standard input");
    }
    // One byte more is read than may come, so that too much shows.
    ssize_t got = read(STDIN_FILENO, request + request_length, stdin_offset + BODY_MAX + 1 - request_length);
    if (got == 0) return;
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) refuse(INPUT_OUTPUT, "standard input cannot be read", strerror(errno));
    request_length += (size_t)got;
    if (request_length - stdin_offset > BODY_MAX)
      refuse(INVALID_CONFIG, "the configuration on standard input is larger than 4194304 bytes", "");
  }
}

// The first key of that name, if its value is what a version looks like.
static void find_version(void) {
  static const char key[] = "\"cniVersion\"", blank[] = " \t\r\n";
  request[request_length] = 0; // the byte that is there for too much
  char *at = memmem(request + stdin_offset, request_length - stdin_offset, key, sizeof key - 1);
  if (!at) return;
  at += sizeof key - 1, at += strspn(at, blank);
  if (*at++ != ':') return;
  at += strspn(at, blank);
  if (*at++ != '"') return;
  size_t length = strspn(at, "0123456789.");
  if (at[length] == '"' && length < sizeof version) memcpy(version, at, length);
}

// On the disk before it has its name, and the name before success is promised.
static int leave_tombstone(void) {
  struct timespec time;
  char path[128], temporary[128];
  clock_gettime(CLOCK_REALTIME, &time);
  for (int hidden = 0; hidden < 2; hidden++)
    snprintf(hidden ? temporary : path, sizeof path, RUN_DIR "/tombstones/%s%012lld.%09ld-%d", hidden ? "." : "",
             (long long)time.tv_sec, time.tv_nsec, (int)getpid());
  mkdir(RUN_DIR, 0755), mkdir(RUN_DIR "/tombstones", 0700);
  int directory = open(RUN_DIR "/tombstones", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (directory < 0 || file < 0) return -1;
  if (!write_all(file, request, request_length) && !fsync(file) && !rename(temporary, path)) return fsync(directory);
  int cause = errno;
  unlink(temporary);
  return errno = cause, -1;
}

// Nobody has done the call, or nobody has said so.
__attribute__((noreturn)) static void give_up(const char *message, const char *details) {
  if (is_verb("STATUS")) refuse(NOT_AVAILABLE, message, details);
  if (!is_verb("DEL")) refuse(TRY_AGAIN_LATER, message, details);
  if (leave_tombstone()) refuse(TRY_AGAIN_LATER, "no tombstone can be left in " RUN_DIR "/tombstones", strerror(errno));
  dprintf(STDERR_FILENO, "weft: %s (%s): the DEL is kept for the agent\n", message, details);
  exit(EXIT_SUCCESS);
}

__attribute__((noreturn)) static void run_standalone(char **argv, const char *reason) {
  static char path[4096 + sizeof "weft-standalone"];
  ssize_t length = readlink("/proc/self/exe", path, 4096);
  char *slash = length > 0 && length < 4096 ? memrchr(path, '/', (size_t)length) : NULL;
  if (!slash) give_up(reason, "and the relay does not find its own path in /proc/self/exe");
  strcpy(slash + 1, "weft-standalone");
  if (access(path, X_OK)) give_up(reason, "and there is no weft-standalone beside the plugin: start weftd");
  int input = memfd_create("stdin", 0); // what was read from standard input is there to be read again
  if (input < 0 || write_all(input, request + stdin_offset, request_length - stdin_offset) ||
      lseek(input, 0, SEEK_SET) || dup2(input, STDIN_FILENO) < 0)
    give_up("the standalone plugin cannot be given its input", strerror(errno));
  close(input);
  alarm(0), signal(SIGPIPE, SIG_DFL);
  execv(path, argv);
  give_up("the standalone plugin cannot be run", strerror(errno));
}

// A connection to an agent that is root's or our own; otherwise -1, and why.
static int connect_agent(const char **reason) {
  static const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = RUN_DIR "/cni.sock"};
  struct timeval patience = {.tv_sec = ANSWER_SECONDS}; // for a place in the agent's queue; all else waits by poll
  struct ucred owner;
  int agent = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  *reason = "the agent (weftd) does not run";
  setsockopt(agent, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (connect(agent, (const struct sockaddr *)&address, sizeof address)) {
    if (errno == ENOENT || errno == ECONNREFUSED) return -1;
    give_up("the agent cannot be reached", errno == EAGAIN ? "its queue stayed full" : strerror(errno));
  }
  if (getsockopt(agent, SOL_SOCKET, SO_PEERCRED, &owner, &(socklen_t){sizeof owner}) == 0 &&
      (owner.uid == 0 || owner.uid == geteuid()))
    return agent;
  *reason = "another user listens on " RUN_DIR "/cni.sock";
  dprintf(STDERR_FILENO, "weft: %s: not asked\n", *reason);
  return -1;
}

// Both return false if the agent has certainly not read the whole request, and it does nothing before it has.
static int send_request(int agent, long long deadline) {
  for (size_t sent = 0; sent < request_length;) {
    if (!wait_for(agent, POLLOUT, deadline)) give_up("the agent did not take the request in time", "is it stuck?");
    ssize_t got = send(agent, request + sent, request_length - sent, MSG_DONTWAIT);
    if (got < 0 && errno != EINTR && errno != EAGAIN) return 0;
    if (got > 0) sent += (size_t)got;
  }
  return 1;
}

static int receive(int agent, size_t wanted, long long deadline) {
  for (size_t have = 0; have < wanted;) {
    if (!wait_for(agent, POLLIN, deadline)) give_up("the agent did not answer in time", "see the log of weftd");
    ssize_t got = recv(agent, answer + have, wanted - have, MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    // The kernel's word for a peer that closed while some of the request lay unread (af_unix.c, unix_release_sock).
    if (got < 0 && errno == ECONNRESET) return 0;
    if (got <= 0) give_up("the agent went away before it had answered", "see the log of weftd");
    have += (size_t)got;
  }
  return 1;
}

int main(int argc, char **argv) {
  int spare; // a descriptor that the caller left closed must not become our socket
  while ((spare = open("/dev/null", O_RDWR)) >= 0 && spare <= STDERR_FILENO) continue;
  if (spare >= 0) close(spare);
  signal(SIGPIPE, SIG_IGN);
  alarm(3 * ANSWER_SECONDS); // the last resort, for a caller that does not read what we write
  if (argc > 0 && getenv("CNI_COMMAND")) verb = getenv("CNI_COMMAND");
  request_length = HEADER;
  put_environment();
  stdin_offset = request_length;
  put_stdin();
  find_version();
  if (is_verb("VERSION")) {
    const char *said = version[0] ? version : NEWEST_CNI_VERSION;
    return dprintf(STDOUT_FILENO, "{\"cniVersion\":\"%s\",\"supportedVersions\":" CNI_VERSIONS "}\n", said) < 0;
  }
  memcpy(request, "WEFT\1\0\0\0", 8);
  put_length(request + 8, stdin_offset - HEADER);
  put_length(request + 12, request_length - stdin_offset);

  const char *reason;
  long long deadline = now_ms() + ANSWER_SECONDS * 1000;
  int agent = connect_agent(&reason);
  if (agent < 0) run_standalone(argv, reason);
  if (!send_request(agent, deadline) || !receive(agent, HEADER, deadline))
    run_standalone(argv, "the agent went away before it had read the request");
  int status = answer[5];
  size_t out = get_length(answer + 8), err = get_length(answer + 12);
  if (memcmp(answer, "WEFT\1", 5) != 0 || out > sizeof answer || err > sizeof answer - out)
    give_up("the agent's answer cannot be understood", "are weft and weftd of one version?");
  if (!receive(agent, out + err, deadline)) give_up("the agent went away while it answered", "see the log of weftd");
  int unread = write_all(STDOUT_FILENO, answer, out) | write_all(STDERR_FILENO, answer + out, err);
  return status ? status : unread ? EXIT_FAILURE : EXIT_SUCCESS;
}
