/** A caller of the CNI socket in C, for what Node.js cannot send: descriptors, beside any bytes, thousands of times. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile, findCompiler } from '../../scripts/build/compile.ts';
import { finished, type Ran } from './relay.ts';

/** `caller SOCKET CALLS BYTES FDS READ`: sends the first BYTES of stdin with FDS descriptors, then reads or closes. */
const source = `
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char bytes[1 << 20], answer[1 << 16];

int main(int argc, char **argv) {
  if (argc < 6) return 2;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
  size_t there = fread(bytes, 1, sizeof bytes, stdin), wanted = strtoul(argv[3], NULL, 10);
  size_t count = strtoul(argv[4], NULL, 10), size = count * sizeof(int);
  int file = open("/proc/self/ns/net", O_RDONLY), fds[64];
  for (size_t i = 0; i < count; i++) fds[i] = file;
  for (long call = atol(argv[2]); call > 0; call--) {
    int agent = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(agent, (struct sockaddr *)&address, sizeof address)) return 3;
    union { struct cmsghdr align; char space[CMSG_SPACE(sizeof fds)]; } control = {0};
    struct iovec part = {.iov_base = bytes, .iov_len = wanted < there ? wanted : there};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    control.align = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(size)};
    memcpy(CMSG_DATA(&control.align), fds, size);
    if (count > 0) message.msg_control = &control, message.msg_controllen = CMSG_SPACE(size);
    if (part.iov_len > 0 && sendmsg(agent, &message, MSG_NOSIGNAL) < 0) perror("sendmsg");
    ssize_t got = 0;
    if (*argv[5] == 'r') while ((got = recv(agent, answer, sizeof answer, 0)) > 0) fwrite(answer, 1, (size_t)got, stdout);
    if (got < 0) perror("recv");
    close(agent);
  }
  return 0;
}
`;

export class Caller {
  readonly #program: string;

  constructor(directory: string) {
    const compiler = findCompiler();
    assert.ok(compiler);
    const path = join(directory, 'caller.c');
    writeFileSync(path, source);
    this.#program = join(directory, 'caller');
    const failure = compile({ compiler, sources: [path], output: this.#program, flags: [] });
    assert.equal(failure, undefined);
  }

  /** `prefix`: a command that enters other namespaces first. */
  async call(request: {
    readonly socket: string;
    readonly bytes: Buffer;
    readonly fds: number;
    readonly calls?: number;
    readonly sent?: number;
    readonly reads?: boolean;
    readonly prefix?: readonly string[];
  }): Promise<Ran> {
    const { socket, bytes, fds, calls = 1, sent = bytes.length, reads = true, prefix = [] } = request;
    const words = [calls, sent, fds].map(String);
    const [command = '', ...args] = [...prefix, this.#program, socket, ...words, reads ? 'r' : 'c'];
    const child = spawn(command, args);
    child.stdin.end(bytes);
    return await finished(child);
  }
}
