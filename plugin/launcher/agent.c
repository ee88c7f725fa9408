#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "relay.h"
#include "text.h"
#include "unanswered.h"

static unsigned char bytes[HEADER + BODY_MAX];
static size_t received;

// A connection to an agent that runs as root or as our own user; otherwise -1, and why.
static int connect_agent(const char **reason) {
  static const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = RUN_DIR "/cni.sock"};
  struct timeval patience = {.tv_sec = ANSWER_SECONDS}; // for a place in the agent's queue; all else waits by poll
  struct ucred owner;
  int agent = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  *reason = "the agent (weftd) does not run";
  setsockopt(agent, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (connect(agent, (const struct sockaddr *)&address, sizeof address)) {
    if (errno == EACCES || errno == EPERM) *reason = "this user may not use the agent's socket " RUN_DIR "/cni.sock";
    else if (errno != ENOENT && errno != ECONNREFUSED)
      give_up("failed to connect to the agent", errno == EAGAIN ? "its queue stayed full" : error_text());
    return -1;
  }
  if (getsockopt(agent, SOL_SOCKET, SO_PEERCRED, &owner, &(socklen_t){sizeof owner}) == 0 &&
      (owner.uid == 0 || owner.uid == geteuid()))
    return agent;
  *reason = "another user listens on " RUN_DIR "/cni.sock";
  SAY(STDERR_FILENO, "weft: ", *reason, ": not asked\n");
  return -1;
}

// The descriptors go with the first byte.
static ssize_t send_some(int agent, size_t sent) {
  if (sent > 0 || call.fd_count == 0) return send(agent, call.request + sent, call.length - sent, MSG_DONTWAIT);
  union {
    struct cmsghdr align;
    char space[CMSG_SPACE(sizeof call.fds)];
  } control = {0};
  size_t size = sizeof(int) * (size_t)call.fd_count;
  struct iovec part = {.iov_base = call.request, .iov_len = call.length};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(size)};
  control.align = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(size)};
  memcpy(CMSG_DATA(&control.align), call.fds, size);
  return sendmsg(agent, &message, MSG_DONTWAIT);
}

// Both return false if the agent has certainly not read the whole request, and it does nothing before it has.
static int send_request(int agent, long long deadline) {
  for (size_t sent = 0; sent < call.length;) {
    ssize_t got = send_some(agent, sent);
    if (got > 0) sent += (size_t)got;
    else if (errno == EAGAIN && !wait_for(agent, POLLOUT, deadline))
      give_up("the agent did not take the request in time", "see the log of weftd");
    else if (errno != EAGAIN && errno != EINTR) return 0;
  }
  return 1;
}

static int receive(int agent, size_t wanted, long long deadline) {
  while (received < wanted) {
    if (!wait_for(agent, POLLIN, deadline)) give_up("the agent did not answer in time", "see the log of weftd");
    ssize_t got = recv(agent, bytes + received, sizeof bytes - received, MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    // The kernel reports a peer that closed while some of the request was unread (af_unix.c, unix_release_sock).
    if (got < 0 && errno == ECONNRESET) return 0;
    if (got <= 0) give_up("the agent closed the connection before it answered", "see the log of weftd");
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
    // It may be stopping, and the next one may have its socket already.
    *reason = "the agent closed the connection before it had read the request";
    close(agent);
  }
  return -1;
}

static size_t get_length(const unsigned char *at) {
  return at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
}

int ask_agent(struct answer *answer, const char **reason) {
  long long deadline = now_ms() + ANSWER_SECONDS * 1000;
  int agent = ask(reason, deadline);
  if (agent < 0) return 0;
  size_t out = get_length(bytes + 8), err = get_length(bytes + 12);
  if (memcmp(bytes, "WEFT\1", 5) != 0 || out > BODY_MAX || err > BODY_MAX - out)
    give_up("the agent's answer cannot be understood", "are weft and weftd of one version?");
  if (!receive(agent, HEADER + out + err, deadline))
    give_up("the agent closed the connection while it answered", "see the log of weftd");
  *answer = (struct answer){.status = bytes[5], .not_done = bytes[6], .out = bytes + HEADER, .out_length = out,
                            .err = bytes + HEADER + out, .err_length = err};
  return 1;
}
