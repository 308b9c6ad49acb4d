/*
 * sender [N [CPU [ADDRESS [SECONDS]]]]: sends N small datagrams to port 9000 of an address of loopback as fast as it can, or for
 * so many seconds; prints ns of CPU and of the clock a call, and how many were refused.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

static double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(int argc, char **argv) {
  long n = argc > 1 ? atol(argv[1]) : 1000000, refused = 0;
  if (argc > 2) { cpu_set_t set; CPU_ZERO(&set); CPU_SET(atoi(argv[2]), &set); sched_setaffinity(0, sizeof set, &set); }
  const char *address = argc > 3 ? argv[3] : "127.0.0.1";
  double seconds = argc > 4 ? atof(argv[4]) : 0;
  struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(9000) };
  struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(9000) };
  int is6 = inet_pton(AF_INET6, address, &v6.sin6_addr) == 1;
  if (!is6 && inet_pton(AF_INET, address, &v4.sin_addr) != 1) return 2;
  int fd = socket(is6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
  struct sockaddr *to = is6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
  socklen_t length = is6 ? sizeof v6 : sizeof v4;
  char bytes[32] = "whydrop";
  double began = now(CLOCK_MONOTONIC), used = now(CLOCK_PROCESS_CPUTIME_ID);
  long sent = 0;
  while (seconds > 0 ? sent % 1024 != 0 || now(CLOCK_MONOTONIC) - began < seconds * 1e9 : sent < n) {
    if (sendto(fd, bytes, sizeof bytes, 0, to, length) < 0 && errno == EPERM) refused++;
    sent++;
  }
  double ns = now(CLOCK_MONOTONIC) - began, cpu = now(CLOCK_PROCESS_CPUTIME_ID) - used;
  printf("{\"ns\": %.1f, \"cpuNs\": %.1f, \"refused\": %ld, \"perSecond\": %.0f}\n", ns / sent, cpu / sent, refused, sent / (ns / 1e9));
  return 0;
}
