#!/bin/sh
# What tproxy.nft marks belongs to this machine, whatever its address: one rule and one route for IPv4 and for IPv6.
#
#     routes.sh up      as often as you like
#     routes.sh down    the way back; what is not there is no mistake
#
# The mark and the table have the number 25. As root, at every boot: smtpguard-routes.service does it.
set -eu

mark=25
table=25
families=-4
[ ! -e /proc/net/if_inet6 ] || families="-4 -6"

down() {
    for family in $families; do
        while ip "$family" rule del fwmark "$mark" lookup "$table" 2>/dev/null; do :; done
        # "local" alone: whatever else somebody keeps in this table stays.
        ip "$family" route del local default dev lo table "$table" 2>/dev/null || :
    done
}

up() {
    down
    for family in $families; do
        ip "$family" route add local default dev lo table "$table"
        ip "$family" rule add fwmark "$mark" lookup "$table"
    done
}

case "${1-}" in
up) up ;;
down) down ;;
*)
    echo "usage: routes.sh up|down" >&2
    exit 2
    ;;
esac
