#include "text.h"

#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "relay.h"

long long now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

int wait_for(int fd, short events, long long deadline) {
  for (;;) {
    long long left = deadline - now_ms();
    int ready = poll(&(struct pollfd){.fd = fd, .events = events}, 1, left > 0 ? (int)left : 0);
    if (ready > 0) return 1;
    if (ready == 0 || errno != EINTR) return 0;
  }
}

int write_all(int fd, const void *bytes, size_t length) {
  for (const char *at = bytes; length > 0;) {
    ssize_t written = write(fd, at, length);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN && wait_for(fd, POLLOUT, now_ms() + ANSWER_SECONDS * 1000)) continue;
    if (written < 0) return -1;
    at += written, length -= (size_t)written;
  }
  return 0;
}

char *put_text(char *at, const char *text) {
  while (*text) *at++ = *text++;
  return *at = 0, at;
}

char *put_number(char *at, long long value, int digits) {
  char reversed[24];
  int count = 0;
  for (; value > 0 || count < digits; value /= 10) reversed[count++] = (char)('0' + value % 10);
  while (count > 0) *at++ = reversed[--count];
  return *at = 0, at;
}

int say(int fd, const char *const *parts) {
  char text[1024], *end = text;
  while (*parts) end = put_text(end, *parts++);
  return write_all(fd, text, (size_t)(end - text));
}

const char *error_text(void) {
  static char text[32];
  return put_number(put_text(text, "errno "), errno, 1), text;
}
