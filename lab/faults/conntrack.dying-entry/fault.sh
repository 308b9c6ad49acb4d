#!/bin/bash
# title: an entry is deleted before it is in the table
# impossible: the window is a few instructions wide and cannot be hit on purpose
# watch: a
