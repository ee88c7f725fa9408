#define _GNU_SOURCE
#include "unanswered.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "relay.h"
#include "text.h"

void refuse(const char *code, const char *message, const char *details) {
  SAY(STDOUT_FILENO, "{\"cniVersion\":\"", call.version, "\",\"code\":", code, ",\"msg\":\"", message,
      "\",\"details\":\"", details, "\"}\n");
  _exit(EXIT_FAILURE);
}

// A deferred DEL is the request in a file: on the disk before it has its name, and the name before success is promised.
static int defer(void) {
  struct timespec time;
  char path[128], hidden[128];
  clock_gettime(CLOCK_REALTIME, &time);
  char *name = put_number(put_text(path, RUN_DIR "/tombstones/"), time.tv_sec, 12);
  name = put_number(put_text(name, "."), time.tv_nsec, 9);
  put_number(put_text(name, "-"), getpid(), 1);
  put_text(put_text(hidden, RUN_DIR "/tombstones/."), path + sizeof RUN_DIR "/tombstones/" - 1);
  mkdir(RUN_DIR, 0755), mkdir(RUN_DIR "/tombstones", 0700);
  int directory = open(RUN_DIR "/tombstones", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int file = open(hidden, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (directory < 0 || file < 0) return -1;
  memset(call.request + 5, 0, 3); // no descriptor goes with a file
  if (!write_all(file, call.request, call.length) && !fsync(file) && !rename(hidden, path)) return fsync(directory);
  int cause = errno;
  unlink(hidden);
  return errno = cause, -1;
}

void give_up(const char *message, const char *details) {
  if (is_verb("STATUS")) refuse(NOT_AVAILABLE, message, details);
  if (!is_verb("DEL")) refuse(TRY_AGAIN_LATER, message, details);
  if (defer()) refuse(TRY_AGAIN_LATER, "failed to defer the DEL to " RUN_DIR "/tombstones", error_text());
  SAY(STDERR_FILENO, "weft: ", message, " (", details, "): DEL deferred until the agent runs\n");
  _exit(EXIT_SUCCESS);
}

// Executes the script as the kernel would. But "#!/usr/bin/env PROGRAM" here: env would end with 127 and no answer.
static void execute(char *script, char **argv) {
  static const char env[] = "#!/usr/bin/env ";
  static char line[128], program[4096];
  int file = open(script, O_RDONLY | O_CLOEXEC);
  ssize_t length = read(file, line, sizeof line - 1);
  close(file);
  if (length < (ssize_t)sizeof env || strncmp(line, env, sizeof env - 1) != 0) {
    execve(script, argv, environ);
    return;
  }
  char *name = line + sizeof env - 1;
  name[strcspn(name, " \n")] = 0;
  for (const char *folder = call.path; *folder;) {
    size_t size = strcspn(folder, ":");
    if (size > 0 && size + strlen(name) + 2 <= sizeof program) {
      memcpy(program, folder, size), put_text(put_text(program + size, "/"), name);
      execve(program, (char *[]){program, script, NULL}, environ);
    }
    folder += size + (folder[size] == ':');
  }
}

void run_standalone(char **argv, const char *reason) {
  static char path[4096 + sizeof "weft-standalone"];
  ssize_t length = readlink("/proc/self/exe", path, 4096);
  while (length > 0 && path[length - 1] != '/') length--;
  if (length <= 0) give_up(reason, "and the relay does not find its own path in /proc/self/exe");
  put_text(path + length, "weft-standalone");
  if (access(path, X_OK)) give_up(reason, "and there is no weft-standalone beside the plugin: start weftd");
  int input = memfd_create("stdin", 0); // what was read from standard input can be read again
  if (input < 0 || write_all(input, call.request + call.stdin_offset, call.length - call.stdin_offset) ||
      lseek(input, 0, SEEK_SET) || dup2(input, STDIN_FILENO) < 0)
    give_up("failed to give the standalone plugin its input", error_text());
  close(input);
  alarm(0), signal(SIGPIPE, SIG_DFL);
  execute(path, argv);
  give_up(reason, "and weft-standalone finds no Node.js, or cannot be executed: start weftd");
}
