// Starts processes and says how long each lived: light, and the same for whoever is measured.
//
//   starter PLAN LOG GAP_MS    one after another, with a pause between them
//   starter PLAN LOG all       all at once
//
// A line of PLAN is a process: its command line, the file that is its stdin, and its environment, separated by
// tabs; the command line's words are separated by blanks.
// Their output goes to LOG. Prints a line per process, in the plan's order: exit status and microseconds from
// before the fork to after the exit; and at last the microseconds from the first fork to the last exit.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 100000, WORDS = 8, VARIABLES = 32 };

static struct process {
  char *words[WORDS + 1], *input, *environment[VARIABLES + 1];
  pid_t pid;
  int status;
  long long begun, ended;
} processes[MOST];

static long long now_us(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

static void die(const char *what) {
  fprintf(stderr, "starter: %s: %s\n", what, strerror(errno));
  exit(1);
}

static size_t read_plan(const char *path) {
  FILE *plan = fopen(path, "r");
  if (!plan) die(path);
  size_t count = 0;
  for (char *line = NULL; count < MOST; line = NULL, count++) {
    size_t room = 0;
    if (getline(&line, &room, plan) < 0) break;
    struct process *process = &processes[count];
    line[strcspn(line, "\n")] = 0;
    char *command = strsep(&line, "\t");
    for (int i = 0; i < WORDS && command; i++) process->words[i] = strsep(&command, " ");
    process->input = strsep(&line, "\t");
    if (!process->input) errno = EINVAL, die(path);
    for (int i = 0; i < VARIABLES && line; i++) process->environment[i] = strsep(&line, "\t");
  }
  fclose(plan);
  return count;
}

static void start(struct process *process, const char *log) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, process->input, O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
  process->begun = now_us();
  errno = posix_spawn(&process->pid, process->words[0], &files, NULL, process->words, process->environment);
  if (errno) die(process->words[0]);
  posix_spawn_file_actions_destroy(&files);
}

static void await_one(size_t count) {
  int status;
  pid_t pid = waitpid(-1, &status, 0);
  long long ended = now_us();
  if (pid < 0) die("waitpid");
  for (size_t i = 0; i < count; i++) {
    if (processes[i].pid != pid || processes[i].ended) continue;
    processes[i].status = status;
    processes[i].ended = ended;
    return;
  }
}

int main(int argc, char **argv) {
  if (argc != 4) errno = EINVAL, die("usage: starter PLAN LOG GAP_MS|all");
  size_t count = read_plan(argv[1]);
  int together = strcmp(argv[3], "all") == 0;
  struct timespec gap = {.tv_nsec = together ? 0 : atol(argv[3]) * 1000000};
  for (size_t i = 0; i < count; i++) {
    start(&processes[i], argv[2]);
    if (together) continue;
    await_one(i + 1);
    if (gap.tv_nsec) nanosleep(&gap, NULL);
  }
  for (size_t i = 0; together && i < count; i++) await_one(count);
  long long last = 0;
  for (size_t i = 0; i < count; i++) {
    struct process *process = &processes[i];
    int status = WIFEXITED(process->status) ? WEXITSTATUS(process->status) : 128 + WTERMSIG(process->status);
    printf("%d %lld\n", status, process->ended - process->begun);
    if (process->ended > last) last = process->ended;
  }
  printf("%lld\n", count ? last - processes[0].begun : 0);
  return 0;
}
