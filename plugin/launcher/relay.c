// The executable a container runtime runs for a pod: it carries the call to the agent and the answer back.
// Starting node costs some 30 ms, a pod's network in the warm agent 2: so this is C, static, and does little.
//
//   the agent answers                  its answer
//   nobody listens, or the agent went  the standalone plugin beside this file does the call, in this process
//     before it had read the request,
//     or it serves another namespace
//   neither standalone plugin nor      ADD, CHECK, GC: code 11 (try again later); STATUS: code 50;
//     Node.js, or no answer in time    DEL: success; the DEL is deferred, and the agent does it later
//
// A request that may have been read is never done a second time. VERSION is answered here and needs no agent.
// What the call names by path (the pod's namespace, resolvConf, dataDir) is opened here and handed over as
// descriptors, because the agent may live in other namespaces. One bounded buffer each way, a bounded time, no state.
// The wire format: docs/architecture.md. Of the C library it uses what bare.c has.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent.h"
#include "call.h"
#include "relay.h"
#include "text.h"
#include "unanswered.h"

int main(int argc, char **argv) {
  int spare; // a descriptor that the caller left closed must not become our socket
  while ((spare = open("/dev/null", O_RDWR)) >= 0 && spare <= STDERR_FILENO) continue;
  if (spare >= 0) close(spare);
  signal(SIGPIPE, SIG_IGN);
  alarm(3 * ANSWER_SECONDS); // the last resort, for a caller that does not read what we write
  put_environment(argc > 0 ? environ : (char *[]){NULL});
  put_stdin();
  find_version();
  if (is_verb("VERSION"))
    return SAY(STDOUT_FILENO, "{\"cniVersion\":\"", call.version, "\",\"supportedVersions\":" CNI_VERSIONS "}\n") < 0;
  put_header();
  open_names();

  const char *reason;
  struct answer answer;
  if (!ask_agent(&answer, &reason)) run_standalone(argv, reason);
  if (answer.not_done) run_standalone(argv, "the agent serves another network namespace than this process lives in");
  int unread = write_all(STDOUT_FILENO, answer.out, answer.out_length);
  unread |= write_all(STDERR_FILENO, answer.err, answer.err_length);
  return answer.status ? answer.status : unread ? EXIT_FAILURE : EXIT_SUCCESS;
}
