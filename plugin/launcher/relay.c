// The executable a container runtime runs for a pod: it carries the call to the agent and the answer back.
// Starting node costs some 30 ms, a pod's network in the warm agent 2: so this is C, static, and does little.
//
//   the agent answers                  its answer
//   nobody listens, or the agent went  the standalone plugin beside this file does the call, in this process
//     before it had read the request
//   neither standalone plugin nor      ADD, CHECK, GC: code 11 (try again later); STATUS: code 50;
//     Node.js, or no answer in time    DEL: success, and a tombstone from which the agent does it later
//
// A request that may have been read is never done a second time. VERSION is answered here and needs nobody.
// One bounded buffer each way, a bounded time, no state. The wire format: docs/architecture.md. Of the C library it
// uses what bare.c beside it has.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "text.h"

#ifndef RUN_DIR // a test's relay has a folder and a patience of its own
#define RUN_DIR "/run/weft"
#endif
enum { HEADER = 16, ENVIRONMENT_MAX = 64 << 10, BODY_MAX = 4 << 20, STDIN_MS = 10000, UNASKED_STDIN_MS = 100 };
#define INVALID_ENVIRONMENT "4" // CNI's error codes (SPEC 1.1.0, section 5)
#define INPUT_OUTPUT "5"
#define INVALID_CONFIG "7"
#define TRY_AGAIN_LATER "11"
#define NOT_AVAILABLE "50"

static unsigned char request[HEADER + ENVIRONMENT_MAX + BODY_MAX + 1], answer[HEADER + BODY_MAX];
static size_t stdin_offset, request_length, received;
static char version[17] = NEWEST_CNI_VERSION; // stdin's cniVersion, if one was found cheaply
static const char *verb = "", *path_variable = "/usr/bin:/bin";

static int is_verb(const char *name) { return strcmp(verb, name) == 0; }

#include "unanswered.h" // refuse, give_up, run_standalone

static const char *after(const char *variable, const char *name) {
  size_t length = strlen(name);
  return strncmp(variable, name, length) == 0 ? variable + length : NULL;
}

// CNI's variables and the trace context (SPEC 1.1.0, section 2; W3C); the rest is none of the agent's business.
static void put_environment(void) {
  for (char **variable = environ; *variable; variable++) {
    const char *value = after(*variable, "PATH=");
    if (value) path_variable = value;
    if ((value = after(*variable, "CNI_COMMAND="))) verb = value;
    if (!after(*variable, "CNI_") && !after(*variable, "TRACEPARENT=") && !after(*variable, "TRACESTATE=") &&
        !after(*variable, "BAGGAGE="))
      continue;
    size_t length = strlen(*variable) + 1;
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
    if (got < 0) refuse(INPUT_OUTPUT, "standard input cannot be read", error_text());
    request_length += (size_t)got;
    if (request_length - stdin_offset > BODY_MAX)
      refuse(INVALID_CONFIG, "the configuration on standard input is larger than 4194304 bytes", "");
  }
}

// The first key of that name, if its value is what a version looks like.
static void find_version(void) {
  static const char key[] = "\"cniVersion\"", blank[] = " \t\r\n";
  request[request_length] = 0; // the byte that is there for too much
  const char *at = (char *)request + stdin_offset, *end = (char *)request + request_length;
  while (at < end && strncmp(at, key, sizeof key - 1) != 0) at++;
  if (at >= end) return;
  at += sizeof key - 1, at += strspn(at, blank);
  if (*at++ != ':') return;
  at += strspn(at, blank);
  if (*at++ != '"') return;
  size_t length = strspn(at, "0123456789.");
  if (at[length] == '"' && length < sizeof version) memcpy(version, at, length), version[length] = 0;
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
    give_up("the agent cannot be reached", errno == EAGAIN ? "its queue stayed full" : error_text());
  }
  if (getsockopt(agent, SOL_SOCKET, SO_PEERCRED, &owner, &(socklen_t){sizeof owner}) == 0 &&
      (owner.uid == 0 || owner.uid == geteuid()))
    return agent;
  *reason = "another user listens on " RUN_DIR "/cni.sock";
  SAY(STDERR_FILENO, "weft: ", *reason, ": not asked\n");
  return -1;
}

// Both return false if the agent has certainly not read the whole request, and it does nothing before it has.
static int send_request(int agent, long long deadline) {
  for (size_t sent = 0; sent < request_length;) {
    ssize_t got = send(agent, request + sent, request_length - sent, MSG_DONTWAIT);
    if (got > 0) sent += (size_t)got;
    else if (errno == EAGAIN && !wait_for(agent, POLLOUT, deadline))
      give_up("the agent did not take the request in time", "is it stuck?");
    else if (errno != EAGAIN && errno != EINTR) return 0;
  }
  return 1;
}

static int receive(int agent, size_t wanted, long long deadline) {
  while (received < wanted) {
    if (!wait_for(agent, POLLIN, deadline)) give_up("the agent did not answer in time", "see the log of weftd");
    ssize_t got = recv(agent, answer + received, sizeof answer - received, MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    // The kernel's word for a peer that closed while some of the request lay unread (af_unix.c, unix_release_sock).
    if (got < 0 && errno == ECONNRESET) return 0;
    if (got <= 0) give_up("the agent went away before it had answered", "see the log of weftd");
    received += (size_t)got;
  }
  return 1;
}

// The connection on which the answer's header has come; -1, and why, if no agent has read the request.
static int ask(const char **reason, long long deadline) {
  for (int attempt = 0; attempt < 2; attempt++) {
    int agent = connect_agent(reason);
    if (agent < 0) return -1;
    if (send_request(agent, deadline) && receive(agent, HEADER, deadline)) return agent;
    // One that stops, perhaps; the next one may have its socket already.
    *reason = "the agent went away before it had read the request";
    close(agent);
  }
  return -1;
}

static void put_length(unsigned char *at, size_t value) {
  for (int i = 0; i < 4; i++) at[i] = (unsigned char)(value >> 8 * i);
}

static size_t get_length(const unsigned char *at) {
  return at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
}

int main(int argc, char **argv) {
  int spare; // a descriptor that the caller left closed must not become our socket
  while ((spare = open("/dev/null", O_RDWR)) >= 0 && spare <= STDERR_FILENO) continue;
  if (spare >= 0) close(spare);
  signal(SIGPIPE, SIG_IGN);
  alarm(3 * ANSWER_SECONDS); // the last resort, for a caller that does not read what we write
  request_length = HEADER;
  if (argc > 0) put_environment();
  stdin_offset = request_length;
  put_stdin();
  find_version();
  if (is_verb("VERSION"))
    return SAY(STDOUT_FILENO, "{\"cniVersion\":\"", version, "\",\"supportedVersions\":" CNI_VERSIONS "}\n") < 0;
  memcpy(request, "WEFT\1\0\0\0", 8);
  put_length(request + 8, stdin_offset - HEADER);
  put_length(request + 12, request_length - stdin_offset);

  const char *reason;
  long long deadline = now_ms() + ANSWER_SECONDS * 1000;
  int agent = ask(&reason, deadline);
  if (agent < 0) run_standalone(argv, reason);
  int status = answer[5];
  size_t out = get_length(answer + 8), err = get_length(answer + 12);
  if (memcmp(answer, "WEFT\1", 5) != 0 || out > BODY_MAX || err > BODY_MAX - out)
    give_up("the agent's answer cannot be understood", "are weft and weftd of one version?");
  if (!receive(agent, HEADER + out + err, deadline)) give_up("the agent went away while it answered", "see the log of weftd");
  int unread = write_all(STDOUT_FILENO, answer + HEADER, out) | write_all(STDERR_FILENO, answer + HEADER + out, err);
  return status ? status : unread ? EXIT_FAILURE : EXIT_SUCCESS;
}
