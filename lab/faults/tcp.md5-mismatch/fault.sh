#!/bin/bash
# title: the two ends have different TCP MD5 keys
# story: the key of a BGP session was changed on one side
# watch: b
# remedy: program
setup() { pair && daemon b serve tcp 192.168.77.20 1179 --md5 192.168.77.10/blue && settle; }
traffic() { tcp a 192.168.77.20 1179 --connections 3 -n 3 --md5 "${KEY:-green}" --wait 900; }
innocent() { KEY=blue; traffic; }
