#!/bin/bash
# title: a socket's backlog is full while its program is in a call
# impossible: it takes a sender faster than the kernel copies, on more CPUs than a test may use
# watch: b
