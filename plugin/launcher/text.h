// Waiting, writing and putting words together: nothing is allocated.
#pragma once
#include <stddef.h>

long long now_ms(void);
// Waits until fd is ready for events; false once the deadline has passed.
int wait_for(int fd, short events, long long deadline);
int write_all(int fd, const void *bytes, size_t length);
// Both return the end of what they have written, which is a NUL.
char *put_text(char *at, const char *text);
char *put_number(char *at, long long value, int digits);
const char *error_text(void);
#define SAY(fd, ...) say(fd, (const char *const[]){__VA_ARGS__, NULL}) // 1 KiB at most, which constants are
int say(int fd, const char *const *parts);
