// What becomes of a call that the agent does not answer.
#pragma once

// Prints a CNI error and ends the process.
__attribute__((noreturn)) void refuse(const char *code, const char *message, const char *details);
// The call was not done, or nobody knows whether it was: DEL is deferred, everything else is refused.
__attribute__((noreturn)) void give_up(const char *message, const char *details);
// Runs the standalone plugin in place of this process, where there is one.
__attribute__((noreturn)) void run_standalone(char **argv, const char *reason);
