#define _GNU_SOURCE
#include "call.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "relay.h"
#include "text.h"
#include "unanswered.h"

enum { STDIN_MS = 10000, UNASKED_STDIN_MS = 100, PATH_SIZE = 4096 };

// Bits of the header's byte 5: which names were opened. Shifted by 4: which could not be.
enum { NETNS = 1, RESOLV_CONF = 2, DATA_DIR = 4 };

struct call call;

int is_verb(const char *name) { return strcmp(call.verb, name) == 0; }

static const char *after(const char *variable, const char *name) {
  size_t length = strlen(name);
  return strncmp(variable, name, length) == 0 ? variable + length : NULL;
}

// CNI's variables and the trace context (SPEC 1.1.0, section 2; W3C); the agent needs no other.
void put_environment(char **variables) {
  call.length = call.stdin_offset = HEADER;
  memcpy(call.version, NEWEST_CNI_VERSION, sizeof NEWEST_CNI_VERSION);
  call.verb = call.netns = "", call.path = "/usr/bin:/bin";
  for (char **variable = variables; *variable; variable++) {
    const char *value = after(*variable, "PATH=");
    if (value) call.path = value;
    if ((value = after(*variable, "CNI_COMMAND="))) call.verb = value;
    if ((value = after(*variable, "CNI_NETNS="))) call.netns = value;
    if (!after(*variable, "CNI_") && !after(*variable, "TRACEPARENT=") && !after(*variable, "TRACESTATE=") &&
        !after(*variable, "BAGGAGE="))
      continue;
    size_t length = strlen(*variable) + 1;
    if (length > HEADER + ENVIRONMENT_MAX - call.length)
      refuse(INVALID_ENVIRONMENT, "the variables CNI_* are larger than 65536 bytes", "");
    memcpy(call.request + call.length, *variable, length), call.length += length;
  }
  call.stdin_offset = call.length;
}

void put_stdin(void) {
  // VERSION and calls without a verb need no configuration, and do not wait for one.
  int asked = is_verb("ADD") || is_verb("DEL") || is_verb("CHECK") || is_verb("GC") || is_verb("STATUS");
  long long deadline = now_ms() + (asked ? STDIN_MS : UNASKED_STDIN_MS);
  for (;;) {
    if (!wait_for(STDIN_FILENO, POLLIN, deadline)) {
      if (!asked) return;
      refuse(INPUT_OUTPUT, "the configuration on standard input did not end within 10 s", "close standard input");
    }
    // One byte more than the limit is read, so that the excess shows.
    size_t room = call.stdin_offset + BODY_MAX + 1 - call.length;
    ssize_t got = read(STDIN_FILENO, call.request + call.length, room);
    if (got == 0) return;
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) refuse(INPUT_OUTPUT, "failed to read standard input", error_text());
    call.length += (size_t)got;
    if (call.length - call.stdin_offset > BODY_MAX)
      refuse(INVALID_CONFIG, "the configuration on standard input is larger than 4194304 bytes", "");
  }
}

// The text of the first key of that name behind `at`, if it is a string; its length, and what follows.
static const char *find_string(const char *at, const char *quoted_key, size_t *length) {
  static const char blank[] = " \t\r\n";
  const char *end = (char *)call.request + call.length;
  for (size_t size = strlen(quoted_key); at < end; at++) {
    if (*at != '"' || strncmp(at, quoted_key, size) != 0) continue;
    const char *value = at + size + strspn(at + size, blank);
    if (*value != ':') continue;
    value += 1 + strspn(value + 1, blank);
    if (*value != '"') continue;
    *length = strcspn(value + 1, "\"\\");
    if (value[1 + *length] == '"') return value + 1;
  }
  return NULL;
}

static const char *standard_input(void) {
  call.request[call.length] = 0; // the byte that is there for the excess
  return (char *)call.request + call.stdin_offset;
}

void find_version(void) {
  size_t length;
  const char *text = find_string(standard_input(), "\"cniVersion\"", &length);
  if (text && length < sizeof call.version && strspn(text, "0123456789.") == length)
    memcpy(call.version, text, length), call.version[length] = 0;
}

// Notes in the header what became of it. No path makes the relay wait (FIFO) or own a terminal.
static void open_name(const char *path, int bit, int flags) {
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | flags);
  if (fd >= 0) call.request[5] |= (unsigned char)bit, call.fds[call.fd_count++] = fd;
  else call.request[5] |= (unsigned char)(bit << 4);
  if (fd < 0 && bit == NETNS) call.request[6] = (unsigned char)errno;
}

static void open_named(const char *quoted_key, int bit, int flags, const char *otherwise) {
  char path[PATH_SIZE];
  size_t length;
  const char *text = find_string(standard_input(), quoted_key, &length);
  if (text && length > 0 && length < sizeof path) {
    memcpy(path, text, length), path[length] = 0;
    open_name(path, bit, flags);
  } else if (!text && otherwise) open_name(otherwise, bit, flags);
}

void open_names(void) {
  if ((is_verb("ADD") || is_verb("CHECK")) && *call.netns) open_name(call.netns, NETNS, 0);
  if (is_verb("ADD")) open_named("\"resolvConf\"", RESOLV_CONF, 0, NULL);
  if (is_verb("ADD") || is_verb("DEL")) open_named("\"dataDir\"", DATA_DIR, O_DIRECTORY, "/var/lib/cni/networks");
}

static void put_length(unsigned char *at, size_t value) {
  for (int i = 0; i < 4; i++) at[i] = (unsigned char)(value >> 8 * i);
}

void put_header(void) {
  memcpy(call.request, "WEFT\1", 5);
  call.request[7] = 1; // what is named by path was opened here
  put_length(call.request + 8, call.stdin_offset - HEADER);
  put_length(call.request + 12, call.length - call.stdin_offset);
}
