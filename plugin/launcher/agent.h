// The agent, on the other side of its socket.
#pragma once
#include <stddef.h>

struct answer {
  int status, not_done; // not_done: the agent has done nothing, the standalone plugin may
  const unsigned char *out, *err;
  size_t out_length, err_length;
};

// False, and why, if no agent has read the request.
int ask_agent(struct answer *answer, const char **reason);
