/* Puts N UDP entries into the connection table of its network namespace through ctnetlink (IPCTNL_MSG_CT_NEW), each of
 * another source; prints how many the kernel took. Root. */
#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static char *put(char *at, int type, const void *value, int length) {
  struct nlattr *a = (struct nlattr *)at;
  a->nla_type = type;
  a->nla_len = NLA_HDRLEN + length;
  memcpy(at + NLA_HDRLEN, value, length);
  memset(at + NLA_HDRLEN + length, 0, NLA_ALIGN(length) - length);
  return at + NLA_HDRLEN + NLA_ALIGN(length);
}

static char *tuple(char *at, int type, uint32_t source, uint32_t destination, uint16_t source_port, uint16_t destination_port) {
  char addresses[16], protocol[24], both[64], *end;
  uint8_t udp = 17;
  end = put(addresses, CTA_IP_V4_SRC, &source, 4);
  end = put(end, CTA_IP_V4_DST, &destination, 4);
  int a = end - addresses;
  end = put(protocol, CTA_PROTO_NUM, &udp, 1);
  end = put(end, CTA_PROTO_SRC_PORT, &source_port, 2);
  end = put(end, CTA_PROTO_DST_PORT, &destination_port, 2);
  int p = end - protocol;
  end = put(both, CTA_TUPLE_IP | NLA_F_NESTED, addresses, a);
  end = put(end, CTA_TUPLE_PROTO | NLA_F_NESTED, protocol, p);
  return put(at, type | NLA_F_NESTED, both, end - both);
}

int main(int argc, char **argv) {
  long n = argc > 1 ? atol(argv[1]) : 1000000, taken = 0, refused = 0;
  int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER), size = 1 << 24;
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  static char buffer[64 * 1024], answers[64 * 1024];
  const int batch = 200;
  for (long i = 0; i < n;) {
    char *end = buffer;
    long until = i + batch < n ? i + batch : n;
    for (; i < until; i++) {
      struct nlmsghdr *m = (struct nlmsghdr *)end;
      struct nfgenmsg *g = (struct nfgenmsg *)(end + NLMSG_HDRLEN);
      char *start = end;
      *m = (struct nlmsghdr){ .nlmsg_type = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_NEW, .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, .nlmsg_seq = i };
      *g = (struct nfgenmsg){ .nfgen_family = AF_INET };
      end += NLMSG_HDRLEN + NLMSG_ALIGN(sizeof *g);
      uint32_t source = htonl(0x0a000000 + (i >> 4)), destination = htonl(0xcb007101), timeout = htonl(3600), status = htonl(IPS_CONFIRMED | IPS_SEEN_REPLY);
      uint16_t source_port = htons(20000 + (i & 15)), destination_port = htons(53);
      end = tuple(end, CTA_TUPLE_ORIG, source, destination, source_port, destination_port);
      end = tuple(end, CTA_TUPLE_REPLY, destination, source, destination_port, source_port);
      end = put(end, CTA_TIMEOUT, &timeout, 4);
      end = put(end, CTA_STATUS, &status, 4);
      m->nlmsg_len = end - start;
    }
    if (send(fd, buffer, end - buffer, 0) < 0) { perror("send"); return 1; }
    // a request is worked off before send returns, so its acknowledgements are all here
    for (int got; (got = recv(fd, answers, sizeof answers, MSG_DONTWAIT)) > 0;)
      for (struct nlmsghdr *m = (struct nlmsghdr *)answers; NLMSG_OK(m, got); m = NLMSG_NEXT(m, got)) {
        if (m->nlmsg_type != NLMSG_ERROR) continue;
        int error = ((struct nlmsgerr *)NLMSG_DATA(m))->error;
        if (error == 0) taken++;
        else if (refused++ == 0) fprintf(stderr, "entry %u: %s\n", m->nlmsg_seq, strerror(-error));
      }
  }
  printf("%ld\n", taken);
  return 0;
}
