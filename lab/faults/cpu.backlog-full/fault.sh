#!/bin/bash
# title: a CPU's input queue is full
# impossible: the limit (net.core.netdev_max_backlog) belongs to the whole machine, and the lab changes nothing outside its namespaces
# watch: a
