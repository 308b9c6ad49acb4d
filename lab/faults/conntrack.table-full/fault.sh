#!/bin/bash
# title: the connection table is full
# impossible: the limit (net.netfilter.nf_conntrack_max) belongs to the whole machine, and the lab changes nothing outside its namespaces
# watch: a
