#!/bin/sh
# Find the libraries of libraries.tsv and write DIR/config.mk and DIR/config.h.
# usage: configure.sh DIR        (CC from the environment)
# A compiler or a required library that is missing ends it with one line that says how to get it. A file whose content
# would not change is left alone, so that nothing is rebuilt.
set -eu

dir=$1
here=$(dirname "$0")
tab=$(printf '\t')
: "${CC:=cc}"
export CC
mkdir -p "$dir"
# Names of this process only: two makes may configure the same directory at once.
header=$dir/config.h.$$ makefile=$dir/config.mk.$$
trap 'rm -f "$header" "$makefile"' EXIT

if ! command -v "${CC%% *}" >/dev/null 2>&1; then
    echo "configure: no C compiler named ${CC%% *}; scripts/install_deps.sh gets one" >&2
    exit 1
fi

cflags='' libs='' test_libs='' missing=''
{
    echo '/* Written by scripts/configure.sh: which libraries were found. */'
    printf '#ifndef MTH_CONFIG_H\n#define MTH_CONFIG_H\n\n'
} >"$header"
"$here/find_libraries.sh" >"$makefile"
while IFS="$tab" read -r need macro found compile link apt _; do
    [ "$compile" = - ] && compile=''
    [ "$link" = - ] && link=''
    printf '#define MTH_HAVE_%s %s\n' "$macro" "$found" >>"$header"
    if [ "$found" = 0 ]; then
        [ "$need" = required ] && missing="$missing $apt"
        continue
    fi
    cflags="$cflags${compile:+ $compile}"
    if [ "$need" = test ]; then
        test_libs="$test_libs${link:+ $link}"
    else
        libs="$libs${link:+ $link}"
    fi
done <"$makefile"
printf '\n#endif\n' >>"$header"

if [ -n "$missing" ]; then
    echo "configure: missing libraries (Debian packages:$missing); scripts/install_deps.sh gets them" >&2
    exit 1
fi
{
    echo "CONFIG_CFLAGS :=$cflags"
    echo "CONFIG_LIBS :=$libs -lpthread -ldl -lm"
    echo "CONFIG_TEST_LIBS :=$test_libs"
} >"$makefile"
cmp -s "$header" "$dir/config.h" || mv "$header" "$dir/config.h"
cmp -s "$makefile" "$dir/config.mk" || mv "$makefile" "$dir/config.mk"
