#!/bin/bash
# title: a policy rule prohibits one source
# story: guests may not reach the server net; a staff laptop has a guest address
# watch: r
setup() { routed && daemon b serve udp fd72::2 3389 && ipn r -6 rule add from "${1:-fd71::2/128}" to fd72::/64 prohibit pref 120 && settle; }
traffic() { udp a fd72::2 3389; }
works() { udp a fd72::2 3389 $few; }
innocent_setup() { setup fd71::3/128; }
