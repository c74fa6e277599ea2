#!/bin/sh
# Find the libraries of libraries.tsv and write DIR/config.mk and DIR/config.h.
# usage: configure.sh DIR        (CC from the environment)
# A required library that is missing ends it with one line that says how to get it.
set -eu

dir=$1
here=$(dirname "$0")
cc=${CC:-cc}
mkdir -p "$dir"
tab=$(printf '\t')
cflags='' libs='' test_libs='' missing=''
header="$dir/config.h.new"
printf '/* Written by scripts/configure.sh: which libraries were found. */\n#ifndef MTH_CONFIG_H\n#define MTH_CONFIG_H\n\n' >"$header"

# Does a program that includes a header link with these flags?
links() {
    printf '#include <stddef.h>\n#include <stdio.h>\n#include <%s>\nint main(void) { return 0; }\n' "$1" >"$dir/probe.c"
    # shellcheck disable=SC2086 # the flags are words
    $cc -o "$dir/probe" "$dir/probe.c" $2 >/dev/null 2>&1
}

while IFS="$tab" read -r need macro pc include link apt _; do
    case $need in '#'* | '') continue ;; esac
    [ "$link" = - ] && link=''
    extra='' found=0
    if [ "$pc" != - ] && pkg-config --exists "$pc" 2>/dev/null; then
        extra=$(pkg-config --cflags "$pc")
    fi
    if links "$include" "$extra $link"; then found=1; fi
    case $need in
    required) [ $found = 1 ] || missing="$missing $apt" ;;
    test) [ $found = 1 ] && test_libs="$test_libs $link" ;;
    esac
    if [ $found = 1 ]; then
        [ "$need" = test ] || libs="$libs $link"
        cflags="$cflags $extra"
    fi
    printf '#define MTH_HAVE_%s %s\n' "$macro" "$found" >>"$header"
done <"$here/libraries.tsv"
printf '\n#endif\n' >>"$header"
rm -f "$dir/probe" "$dir/probe.c"

if [ -n "$missing" ]; then
    rm -f "$header"
    echo "configure: missing libraries (Debian packages:$missing); scripts/install_deps.sh gets them" >&2
    exit 1
fi
# Untouched when nothing changed, so that nothing is rebuilt.
if cmp -s "$header" "$dir/config.h"; then rm "$header"; else mv "$header" "$dir/config.h"; fi
{
    echo "CONFIG_CFLAGS :=$cflags"
    echo "CONFIG_LIBS :=$libs -lpthread -ldl -lm"
    echo "CONFIG_TEST_LIBS :=$test_libs"
} >"$dir/config.mk"
