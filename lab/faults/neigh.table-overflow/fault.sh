#!/bin/bash
# title: the neighbour table is full
# impossible: the limit (net.ipv4.neigh.default.gc_thresh3) belongs to the whole machine, and the lab changes nothing outside its namespaces
# watch: a
