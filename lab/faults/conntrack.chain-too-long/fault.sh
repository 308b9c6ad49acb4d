#!/bin/bash
# title: one bucket of the connection table is too long
# impossible: the hash is keyed with a secret, and the number of buckets belongs to the whole machine
# watch: a
