/*
 * The first process of a pod: it holds the pod's network while the containers come and go, and does nothing.
 *
 * Its arguments are folders of volumes that the pod's containers share. It makes those that are absent, and opens them to
 * every user, as in Kubernetes' emptyDir. After the argument group=GID they belong to that group, and so does what is
 * made in them.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void leave(int number) {
  (void)number;
  _exit(0);
}

static int open_folder(const char *path, gid_t group, int has_group) {
  if (mkdir(path, 0777) != 0 && errno != EEXIST) return -1;
  if (has_group && chown(path, (uid_t)-1, group) != 0) return -1;
  return chmod(path, has_group ? 02777 : 0777);
}

int main(int argc, char **argv) {
  gid_t group = 0;
  int has_group = 0;
  for (int i = 1; i < argc; i++) {
    if (strncmp(argv[i], "group=", 6) == 0) {
      group = (gid_t)strtoul(argv[i] + 6, NULL, 10);
      has_group = 1;
      continue;
    }
    if (open_folder(argv[i], group, has_group) != 0) {
      fprintf(stderr, "pause: %s: %s\n", argv[i], strerror(errno));
      return 1;
    }
  }
  struct sigaction action = {.sa_handler = leave};
  sigemptyset(&action.sa_mask);
  // The first process of a pid namespace is sent only those signals that it handles.
  if (sigaction(SIGTERM, &action, NULL) != 0 || sigaction(SIGINT, &action, NULL) != 0) return 1;
  for (;;) pause();
}
