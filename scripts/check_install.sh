#!/bin/sh
# Install mithril into a scratch directory and use it as a stranger would: what pkg-config says builds a program against the shared
# library and one against the archive, a plug-in builds from the installed headers alone, and uninstall leaves nothing.
# usage: check_install.sh [BUILD]      (default: build; CC, CXX from the environment)
set -eu
# Of a make that may have called: its options are not for the makes below.
unset MAKEFLAGS MFLAGS MAKELEVEL

cd "$(dirname "$0")/.."
build=${1:-build}
cc=${CC:-cc}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
prefix=/opt/mithril
fail() {
    echo "check_install: $*" >&2
    exit 1
}

make --no-print-directory BUILD="$build" CC="$cc" DESTDIR="$root" PREFIX=$prefix install >/dev/null
export PKG_CONFIG_PATH="$root$prefix/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$root"
flags=$(pkg-config --cflags --libs mithril)
static_flags=$(pkg-config --cflags --libs --static mithril | sed 's/-lmithril/-l:libmithril.a/')
cp -r examples "$root"
cd "$root"

# shellcheck disable=SC2046,SC2086 # flags are words
{
    $cc -std=c11 -Wall -Wextra -Werror examples/round_trip.c $flags -o shared
    $cc -std=c11 -Wall -Wextra -Werror examples/round_trip.c $static_flags -o static
    $cc -std=c11 -Wall -Wextra -Werror examples/container.c $flags -o container
    for plugin in examples/*plugin*.c; do
        $cc -std=c11 -Wall -Wextra -Werror -fPIC -shared -I. "$plugin" $(pkg-config --cflags mithril) -o "${plugin%.c}.so"
    done
}
LD_LIBRARY_PATH="$root$prefix/lib" ./shared >shared.txt || fail "the program on the shared library failed"
./static >static.txt || fail "the program on the archive failed"
LD_LIBRARY_PATH="$root$prefix/lib" ./container >container.txt || fail "the example of containers failed"
cmp -s shared.txt static.txt || fail "shared library and archive print different things"

for plugin in examples/*plugin*.so; do
    ".$prefix/bin/mithril" list --plugin "./$plugin" >list.txt || fail "the installed program does not load $plugin"
done
grep -q range0 list.txt || fail "the plug-in's codec is not listed"

version=$(pkg-config --modversion mithril)
[ "$(".$prefix/bin/mithril" --version)" = "mithril $version" ] || fail "--version is not the $version of pkg-config"

# Nothing but mth_* is visible, and the library is known by its soname.
if nm -D --defined-only ".$prefix/lib/libmithril.so" | awk '{ print $NF }' | grep -v '^mth_'; then
    fail "libmithril.so shows names that do not begin with mth_"
fi
readelf -d shared | grep -q 'NEEDED.*libmithril\.so\.0' || fail "the program does not ask for libmithril.so.0"

# The header is C++ too.
if command -v "${CXX:-c++}" >/dev/null 2>&1; then
    echo '#include <mithril.h>
    int main() { return mth_status_name(0)[0] == 0 || mth_codec_at(0) == 0; }' >header.cc
    # shellcheck disable=SC2086
    ${CXX:-c++} -Wall -Wextra header.cc $flags -o header
    LD_LIBRARY_PATH="$root$prefix/lib" ./header || fail "the C++ program failed"
fi
# The manual page explains every command of the program, and every option of each.
manual=.$prefix/share/man/man1/mithril.1
explain() {
    grep -q "^\.SS $*" "$manual" || fail "the manual page does not explain $*"
    for option in $(".$prefix/bin/mithril" "$@" -h | sed -n 's/^ .* --\([a-z-]*\).*/\1/p'); do
        grep -q "^\.BR .*\\\\-\\\\-$option" "$manual" || fail "the manual page does not explain --$option of $*"
    done
}
for command in $(".$prefix/bin/mithril" -h | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
    explain "$command"
done
for command in $(".$prefix/bin/mithril" chain -h | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
    explain chain "$command"
done

cd "$OLDPWD"
make --no-print-directory BUILD="$build" CC="$cc" DESTDIR="$root" PREFIX=$prefix uninstall >/dev/null
left=$(find "$root$prefix" ! -type d)
[ -z "$left" ] || fail "left behind by uninstall: $left"
echo "check_install: shared, static, plug-in, C++ and manual page are fine"
