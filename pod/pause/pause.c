/*
 * The first process of a pod: it holds the pod's network while the containers come and go, and does nothing.
 *
 * Its arguments are folders of volumes that the pod's containers share: whoever a container runs as may write there,
 * as in Kubernetes' emptyDir.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void leave(int number) {
  (void)number;
  _exit(0);
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    if (chmod(argv[i], 0777) != 0) {
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
