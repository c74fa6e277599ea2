#!/bin/sh
# Build the library for 64-bit Arm with a cross compiler, and run tests of its kernels, codecs and coder under qemu's user mode.
# usage: test_arm.sh [TEST...]      (default: the tests below; names as test_rans)
# Libraries for Arm are fetched from the mirrors that this Debian system uses and unpacked in build/arm64; nothing but the
# compiler and qemu is installed (tools.tsv, group arm). BUILD, JOBS from the environment.
set -eu

dir=${BUILD:-build}/arm64
jobs=${JOBS:-2}
packages='libzstd-dev libzstd1 liblz4-dev liblz4-1 zlib1g-dev zlib1g libbz2-dev libbz2-1.0 liblzma-dev liblzma5
    libxxhash-dev libxxhash0 libyajl-dev libyajl2 libjansson-dev libjansson4 libcmocka-dev libcmocka0'
[ $# -gt 0 ] || set -- test_base test_rans test_ulp_kernels test_ulp_rans test_huffman test_tiers test_codecs test_transforms \
    test_coder test_states

"$(dirname "$0")/install_deps.sh" arm
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
root=$dir/root

fetch_libraries() {
    apt=$dir/apt
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/packages"
    : >"$apt/status"
    set -- -q -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Dir::State::Lists="$apt/lists" \
        -o Dir::State::Status="$apt/status" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=
    # shellcheck disable=SC2086 # words
    (cd "$apt/packages" && apt-get "$@" update && apt-get "$@" download $packages) >"$dir/apt.log" 2>&1 || {
        tail -n 5 "$dir/apt.log" >&2
        echo "test_arm: the libraries could not be fetched" >&2
        exit 1
    }
    for package in "$apt"/packages/*.deb; do
        dpkg-deb -x "$package" "$root.new"
    done
    rm -rf "$root" "$apt"
    mv "$root.new" "$root"
}
[ -d "$root" ] || fetch_libraries

libraries=$root/usr/lib/aarch64-linux-gnu
export PKG_CONFIG_LIBDIR="$libraries/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$root"
tests=''
for name; do tests="$tests $dir/tests/$name"; done
for plugin in examples/*plugin*.c; do tests="$tests $dir/${plugin%.c}.so"; done
# shellcheck disable=SC2086 # words
"${MAKE:-make}" -j"$jobs" BUILD="$dir" AR=aarch64-linux-gnu-ar WERROR="${WERROR:-}" \
    CC="aarch64-linux-gnu-gcc -isystem $root/usr/include -isystem $root/usr/include/aarch64-linux-gnu -L$libraries -Wl,-rpath-link,$libraries:$root/lib/aarch64-linux-gnu" $tests

failed=0
for name; do
    if qemu-aarch64 -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH="$libraries:$root/lib/aarch64-linux-gnu" \
        "$dir/tests/$name" >"$dir/$name.log" 2>&1; then
        echo "  arm64 $name: $(grep -E '^\[  PASSED  \]' "$dir/$name.log" | tail -n 1)"
    else
        failed=1
        tail -n 20 "$dir/$name.log" >&2
        echo "  arm64 $name: FAILED" >&2
    fi
done
exit $failed
