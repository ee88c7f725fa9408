// CNI's loopback plugin: brings `lo` up in a pod's network namespace. containerd executes one for every sandbox and
// refuses the sandbox without it. It needs no agent and keeps no state. The build sets CNI_VERSIONS.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
enum { STDIN_MAX = 4 << 20, DEPTH_MAX = 100 };
enum { INCOMPATIBLE = 1, ENVIRONMENT = 4, INPUT_OUTPUT, UNDECODABLE, CONFIG, NETNS, CHECK_FAILED = 105 }; // CNI's codes
#define ALL "CNI_CONTAINERID CNI_NETNS CNI_IFNAME"
static const struct Verb { char name[8], since[8], needs[40]; } verbs[] = {
    {"ADD", "0.1.0", ALL}, {"CHECK", "0.4.0", ALL}, {"DEL", "0.1.0", "CNI_CONTAINERID CNI_IFNAME"},
    {"GC", "1.1.0", ""}, {"STATUS", "1.1.0", ""}, {"VERSION", "", ""}, {"", "", ""}}, *verb = verbs;
static char input[STDIN_MAX + 2], version[256] = NEWEST_CNI_VERSION;
static void put(const char *text) { // of text from outside what is printable ASCII
  for (; *text; text++)
    if (*text >= ' ' && *text <= '~') printf(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
}
__attribute__((noreturn)) static void refuse(int code, const char *message, const char *subject, const char *details) {
  printf("{\"cniVersion\":\"%s\",\"code\":%d,\"msg\":\"", version, code);
  put(message), put(subject), printf("\",\"details\":\""), put(details), puts("\"}"), exit(EXIT_FAILURE);
}
static char *skip_blank(char *at) { return at + strspn(at, " \t\r\n"); }
static char *skip_string(char *at) { // both return what follows the value; NULL if it is not JSON
  for (at++; *at != '"'; at++)
    if ((unsigned char)*at < ' ' || (*at == '\\' && (unsigned char)*++at < ' ')) return NULL;
  return at + 1;
}
static char *skip_value(char *at, int depth) {
  if (*at == '"') return skip_string(at);
  if (*at != '{' && *at != '[') {
    size_t word = strncmp(at, "false", 5) == 0 ? 5 : strncmp(at, "true", 4) && strncmp(at, "null", 4) ? 0 : 4;
    return word || strspn(at, "-.0123456789") ? at + (word ? word : strspn(at, "-+.0123456789eE")) : NULL;
  }
  char end = *at == '{' ? '}' : ']';
  if (*(at = skip_blank(at + 1)) == end) return at + 1;
  for (; depth < DEPTH_MAX; at = skip_blank(at + 1)) {
    if (end == '}' && (*at != '"' || !(at = skip_string(at)) || *(at = skip_blank(at)) != ':')) return NULL;
    if (!(at = skip_value(end == '}' ? skip_blank(at + 1) : at, depth + 1))) return NULL;
    if (*(at = skip_blank(at)) == end) return at + 1;
    if (*at != ',') return NULL;
  }
  return NULL;
}
// The value of a valid object's key: of several the last, in any case, as Go reads it. NULL if absent or null.
static char *member(char *object, const char *key) {
  char *found = NULL;
  for (char *at = skip_blank(object + 1); *at == '"'; at = *at == ',' ? skip_blank(at + 1) : at) {
    char *name = at + 1, *end = skip_string(at) - 1;
    at = skip_blank(skip_blank(end + 1) + 1);
    if ((size_t)(end - name) == strlen(key) && strncasecmp(name, key, strlen(key)) == 0) found = at;
    at = skip_blank(skip_value(at, 0));
  }
  return found && *found != 'n' ? found : NULL;
}
// A string's text, "" for another value or a long one. Escapes stay as they are: no valid name or version has any.
static char *text_of(char *value, char text[256]) {
  int length = value && *value == '"' ? (int)(skip_string(value) - value) - 2 : 0;
  return snprintf(text, 256, "%.*s", length > 255 ? 0 : length, value ? value + 1 : ""), text;
}
static int is_identifier(const char *text) {
  static const char set[] = "_.-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  return *text && strchr(set + 3, *text) && !text[strspn(text, set)];
}
static const char *variable(const char *name) { return getenv(name) ? getenv(name) : ""; }
static char *read_input(int optional) { // VERSION needs no configuration, and does not wait for one
  size_t length = 0;
  ssize_t got = -1;
  while (poll(&(struct pollfd){.fd = STDIN_FILENO, .events = POLLIN}, 1, optional ? 100 : 10000) > 0 &&
         (got = read(STDIN_FILENO, input + length, STDIN_MAX + 1 - length)) > 0)
    length += (size_t)got, got = -1;
  char *object = skip_blank(input), *end = *object == '{' && length <= STDIN_MAX ? skip_value(object, 0) : NULL;
  if (end && skip_blank(end) == input + length) return object;
  if (optional) return strcpy(input, "{\"cniVersion\":\"" NEWEST_CNI_VERSION "\"}");
  int late = got && length <= STDIN_MAX;
  refuse(late ? INPUT_OUTPUT : UNDECODABLE, late ? "stdin did not end within 10 s" : "stdin is not a JSON object", "", "");
}
static void take_version(char *value) { // the one to answer in; none means 0.1.0
  char asked[256], quoted[260];
  if (value && *value != '"') refuse(UNDECODABLE, "cniVersion must be a string", "", "");
  snprintf(quoted, sizeof quoted, "\"%s\"", value ? text_of(value, asked) : strcpy(asked, "0.1.0"));
  int known = strlen(quoted) > 2 && strstr(CNI_VERSIONS, quoted);
  if (known && strcpy(version, asked) && strcmp(version, verb->since) >= 0) return;
  if (known) refuse(INCOMPATIBLE, "config version does not allow ", verb->name, asked);
  int unclear = strcmp(verb->since, "0.1.0") > 0 && (!*asked || asked[strspn(asked, "0123456789.")]);
  if (*verb->since) refuse(unclear ? UNDECODABLE : INCOMPATIBLE, "incompatible CNI versions: config is ", quoted, "");
}
static int lo_is_up(int set) { // after it was set down (0) or up (1), unless set is -1
  struct ifreq lo = {.ifr_name = "lo"};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), failed = ioctl(fd, SIOCGIFFLAGS, &lo);
  if (set >= 0) lo.ifr_flags = (short)(set ? lo.ifr_flags | IFF_UP : lo.ifr_flags & ~IFF_UP);
  if ((failed || (set >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo))) && set) refuse(INPUT_OUTPUT, "failed to set up lo: ", strerror(errno), "");
  return lo.ifr_flags & IFF_UP;
}
// The kernel gives lo its addresses when it comes up.
static void print_result(const char *netns, char *previous) {
  char disabled = '1';
  int fd = open("/proc/sys/net/ipv6/conf/lo/disable_ipv6", O_RDONLY | O_CLOEXEC), old = strcmp(version, "1.0.0") < 0;
  int six = read(fd, &disabled, 1) == 1 && disabled == '0', lists = strcmp(version, "0.3.0") >= 0;
  const char *v4 = old ? "\"version\":\"4\"," : "", *v6 = old ? "\"version\":\"6\"," : "";
  int passed = previous && lists && *skip_blank(previous + 1) == '"', bare = !passed || !member(previous, "cniVersion");
  if (bare) printf("{\"cniVersion\":\"%s\",", version);
  if (passed) printf("%.*s\n", (int)(skip_value(previous, 0) - previous) - bare, previous + bare);
  else if (!lists) printf("\"ip4\":{\"ip\":\"127.0.0.1/8\"},%s\"dns\":{}}\n", six ? "\"ip6\":{\"ip\":\"::1/128\"}," : "");
  else {
    printf("\"interfaces\":[{\"name\":\"lo\",\"mac\":\"00:00:00:00:00:00\",\"sandbox\":\""), put(netns);
    printf("\"}],\"ips\":[{%s\"interface\":0,\"address\":\"127.0.0.1/8\"}", v4);
    if (six) printf(",{%s\"interface\":0,\"address\":\"::1/128\"}", v6);
    puts(old ? "],\"dns\":{}}" : "]}");
  }
}
int main(void) {
  const char *command = variable("CNI_COMMAND"), *id = variable("CNI_CONTAINERID"), *ifname = variable("CNI_IFNAME");
  const char *netns = variable("CNI_NETNS"), *override = variable("CNI_NETNS_OVERRIDE");
  char missing[64] = "", needs[40], name[256];
  struct stat own, pod;
  if (!*command) return fputs("CNI loopback plugin\nCNI protocol versions supported: " CNI_VERSIONS "\n", stderr) < 0;
  while (*verb->name && strcmp(verb->name, command)) verb++;
  if (!*verb->name) refuse(ENVIRONMENT, "unknown CNI_COMMAND: ", command, "");
  for (char *each = strtok(strcpy(needs, verb->needs), " "); each; each = strtok(NULL, " "))
    if (!*variable(each)) strcat(strcat(missing, *missing ? "," : "["), each);
  if (*missing) refuse(ENVIRONMENT, "required env variables ", strcat(missing, "] missing"), "");
  char *object = read_input(!*verb->since), *previous = member(object, "prevResult");
  if (*verb->since && !is_identifier(text_of(member(object, "name"), name)))
    refuse(CONFIG, *name ? "invalid characters found in network name" : "missing network name", "", name);
  if (*verb->needs && !is_identifier(id)) refuse(ENVIRONMENT, "invalid characters in containerID", "", id);
  int dots = !strcmp(ifname, ".") || !strcmp(ifname, ".."), bad = dots || strpbrk(ifname, "/: \t\n\v\f\r");
  if (*verb->needs && (bad || strlen(ifname) >= IFNAMSIZ)) refuse(ENVIRONMENT, "invalid interface name", "", ifname);
  take_version(member(object, "cniVersion"));
  if (!*verb->since) return printf("{\"cniVersion\":\"%s\",\"supportedVersions\":" CNI_VERSIONS "}\n", version) < 0;
  if (!*verb->needs) return EXIT_SUCCESS; // GC, STATUS: there is no state
  int fd = open(netns, O_RDONLY | O_CLOEXEC), del = *verb->name == 'D', check = *verb->name == 'C';
  int same = !fstat(fd, &pod) && !stat("/proc/self/ns/net", &own) && own.st_ino == pod.st_ino && own.st_dev == pod.st_dev;
  int outside = same ? 0 : setns(fd, CLONE_NEWNET);
  if (same && !del && strcmp(override, "1") && strcasecmp(override, "true"))
    refuse(NETNS, "plugin's netns and netns from CNI_NETNS should not be the same", "", netns);
  if (del && (same || outside)) return EXIT_SUCCESS; // the sandbox is gone, or it would be the host's own lo
  if (outside) refuse(NETNS, "failed to enter the network namespace CNI_NETNS: ", strerror(errno), netns);
  if (!del && previous && *previous != '{') refuse(CONFIG, "prevResult must be an object", "", "");
  if (!lo_is_up(check ? -1 : !del) && check) refuse(CHECK_FAILED, "lo is down in ", netns, "delete and create the pod");
  if (!del && !check) print_result(netns, previous);
  return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
