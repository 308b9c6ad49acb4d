#!/bin/bash
# title: a Landlock or AppArmor rule refuses a connection
# impossible: a security module's policy belongs to the whole machine, and the lab changes nothing outside its namespaces
# watch: a
