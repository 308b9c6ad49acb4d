/*
 * udp-peer LADDR LPORT RADDR RPORT SECONDS [GAP_US [JITTER_US [SIZE]]]
 *
 * One end of a busy UDP flow between fixed ports: a thread that sends a datagram
 * every GAP_US (+ a random part of JITTER_US; 0 0 = as fast as it goes) and a thread
 * that takes in what the other end sends.  Every failed send is written with the time
 * of both clocks, every datagram from another port than RPORT too (a NAT rewrite).
 * Last line: totals, one name=value each.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int fd;
static struct sockaddr_in peer;
static volatile double end_at;
static unsigned long received, odd_port;

static double now(clockid_t c)
{
	struct timespec t;
	clock_gettime(c, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Ended early: the totals are printed all the same. */
static void stop(int sig)
{
	end_at = 0 * sig;
}

static void *receiver(void *arg)
{
	char buf[2048];

	while (now(CLOCK_MONOTONIC) < end_at) {
		struct sockaddr_in from;
		socklen_t n = sizeof(from);

		if (recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &n) < 0)
			continue;
		received++;
		if (from.sin_port != peer.sin_port && ++odd_port <= 200)
			printf("%.6f mono %.6f from-port %d\n", now(CLOCK_REALTIME),
			       now(CLOCK_MONOTONIC), ntohs(from.sin_port));
	}
	return arg;
}

int main(int argc, char **argv)
{
	struct sockaddr_in self = { .sin_family = AF_INET };
	struct timeval tv = { .tv_usec = 200000 };
	unsigned long sent = 0, eperm = 0, other = 0;
	int gap, jitter, size, one = 1, room = 8 << 20;
	char buf[2048] = { 0 };
	pthread_t t;

	if (argc < 6) {
		fprintf(stderr, "usage: udp-peer LADDR LPORT RADDR RPORT SECONDS [GAP_US [JITTER_US [SIZE]]]\n");
		return 2;
	}
	gap = argc > 6 ? atoi(argv[6]) : 0;
	jitter = argc > 7 ? atoi(argv[7]) : 0;
	size = argc > 8 ? atoi(argv[8]) : 200;
	setvbuf(stdout, NULL, _IOLBF, 0);
	inet_pton(AF_INET, argv[1], &self.sin_addr);
	self.sin_port = htons(atoi(argv[2]));
	peer.sin_family = AF_INET;
	inet_pton(AF_INET, argv[3], &peer.sin_addr);
	peer.sin_port = htons(atoi(argv[4]));
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (bind(fd, (struct sockaddr *)&self, sizeof(self))) {
		perror("bind");
		return 1;
	}
	srandom(getpid());
	end_at = now(CLOCK_MONOTONIC) + atof(argv[5]);
	signal(SIGTERM, stop);
	pthread_create(&t, NULL, receiver, NULL);
	while (now(CLOCK_MONOTONIC) < end_at) {
		if (sendto(fd, buf, size, 0, (struct sockaddr *)&peer, sizeof(peer)) == size) {
			sent++;
		} else if (errno == EPERM) {
			eperm++;
			printf("%.6f mono %.6f sendto: %s (errno %d)\n", now(CLOCK_REALTIME),
			       now(CLOCK_MONOTONIC), strerror(errno), errno);
		} else {
			other++;
		}
		if (gap || jitter)
			usleep(gap + (jitter ? random() % jitter : 0));
	}
	pthread_join(t, NULL);
	printf("sent=%lu eperm=%lu other_errors=%lu received=%lu odd_source_port=%lu\n",
	       sent, eperm, other, received, odd_port);
	return 0;
}
