#!/bin/sh
# Look for every library of libraries.tsv and print one line each, fields separated by tabs, - for an empty one:
#   need  macro  found (1 or 0)  compile flags  link flags  apt  dnf  pacman  brew
# usage: find_libraries.sh      (CC from the environment)
# A library is there when a program that includes its header links, with what pkg-config knows about it.
set -eu

here=$(dirname "$0")
cc=${CC:-cc}
tab=$(printf '\t')
probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT

links() {
    printf '#include <setjmp.h>\n#include <stdarg.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>\n#include <%s>\nint main(void) { return 0; }\n' "$1" >"$probe/probe.c"
    # shellcheck disable=SC2086 # the compiler and the flags are words
    $cc -o "$probe/probe" "$probe/probe.c" $2 >/dev/null 2>&1
}

while IFS="$tab" read -r need macro pc include link apt dnf pacman brew; do
    case $need in '#'* | '') continue ;; esac
    [ "$link" = - ] && link=''
    cflags='' found=0
    if [ "$pc" != - ] && pkg-config --exists "$pc" 2>/dev/null; then
        cflags=$(pkg-config --cflags "$pc" | sed 's/ *$//')
        paths=$(pkg-config --libs-only-L "$pc" | sed 's/ *$//')
        link="$paths${paths:+ }$link"
    fi
    if links "$include" "$cflags $link"; then found=1; fi
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' \
        "$need" "$macro" "$found" "${cflags:--}" "${link:--}" "$apt" "$dnf" "$pacman" "$brew"
done <"$here/libraries.tsv"
