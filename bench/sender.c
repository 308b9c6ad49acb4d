/* Sends N small datagrams to 127.0.0.1:9000 as fast as it can; prints ns a call and how many were refused. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

int main(int argc, char **argv) {
  long n = argc > 1 ? atol(argv[1]) : 1000000, refused = 0;
  if (argc > 2) { cpu_set_t set; CPU_ZERO(&set); CPU_SET(atoi(argv[2]), &set); sched_setaffinity(0, sizeof set, &set); }
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9000) };
  inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
  char bytes[32] = "whydrop";
  struct timespec a, b;
  clock_gettime(CLOCK_MONOTONIC, &a);
  for (long i = 0; i < n; i++)
    if (sendto(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&to, sizeof to) < 0 && errno == EPERM) refused++;
  clock_gettime(CLOCK_MONOTONIC, &b);
  double ns = (b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec);
  printf("{\"ns\": %.1f, \"refused\": %ld, \"perSecond\": %.0f}\n", ns / n, refused, n / (ns / 1e9));
  return 0;
}
