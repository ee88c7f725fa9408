// What the relay's files share: limits, CNI's codes, and the one call that a process carries.
#pragma once
#include <stddef.h>

#ifndef RUN_DIR // tests compile a relay with a folder and a patience of its own
#define RUN_DIR "/run/weft"
#endif
#ifndef ANSWER_SECONDS // runtimes wait 60 s or longer; the agent gives up after 20 s of work
#define ANSWER_SECONDS 25
#endif

enum { HEADER = 16, ENVIRONMENT_MAX = 64 << 10, BODY_MAX = 4 << 20 };
#define INVALID_ENVIRONMENT "4" // CNI's error codes (SPEC 1.1.0, section 5)
#define INPUT_OUTPUT "5"
#define INVALID_CONFIG "7"
#define TRY_AGAIN_LATER "11"
#define NOT_AVAILABLE "50"

// The request as it goes over the socket: header, environment, stdin (docs/architecture.md).
struct call {
  unsigned char request[HEADER + ENVIRONMENT_MAX + BODY_MAX + 1];
  size_t stdin_offset, length;
  char version[17]; // stdin's cniVersion, if one was found cheaply
  const char *verb, *path, *netns;
  int fds[3], fd_count; // of the names in the call that were opened, in the order of the header's bits
};
extern struct call call;

int is_verb(const char *name);
