#!/bin/sh
# Measure other compressors of weights beside our cells: same bytes, same threads, same rounds; see docs/peers.md.
# usage: bench_peers.sh [ARGUMENT...]      arguments go to `mithril bench`, or with RATIOS to peers/pair_ratios.py run
#
# MITHRIL  the program (default build/mithril)          ROWS    where rows go (default beside it, bench/peers.jsonl)
# MATRIX   datasets and our pipelines (default scripts/peers/matrix.json)
# PYTHON   makes the virtual environments (default python3)
# PEERS    which (default all)                          SLOW    yes: zstd at 19 as well
# RATIOS   a file: sizes of pairs alone go there, of all peers, our presets, and slow compressors on the planes of the xor
#
# Each peer is installed from PyPI into an environment of its own, in peers/NAME beside the program. One that can not be
# installed is skipped with one line.
set -eu

here=$(dirname "$0")
: "${MITHRIL:=build/mithril}" "${PYTHON:=python3}" "${MATRIX:=$here/peers/matrix.json}"
: "${ROWS:=$(dirname "$MITHRIL")/bench/peers.jsonl}"
environments=$(dirname "$MITHRIL")/peers
# shellcheck source=scripts/peers/environment.sh
. "$here/peers/environment.sh"

if [ ! -x "$MITHRIL" ]; then
    echo "bench_peers.sh: $MITHRIL is not there; make builds it" >&2
    exit 5
fi

# peer NAME PACKAGE [ARGUMENT]: adds a peer to the arguments that `mithril bench` gets.
peer_option() {
    echo "--peer=$1=$environments/$2/bin/python -B $here/peers/peer_$2.py${3:+ $3}"
}

: "${PEERS:=zipnn openzl z4ai glyd lmzip bigsmall pcodec blosc2 numcodecs moonclip deltatensors bsdiff4 ptwm reminis zstd}"
for package in $PEERS; do
    if ! install "$package"; then
        reason=$(grep -i error "$environments/$package.log" | tail -n 1)
        echo "bench_peers.sh: skipped $package: ${reason:-$(tail -n 1 "$environments/$package.log")}" >&2
        continue
    fi
    if [ ! -e "$here/peers/peer_$package.py" ]; then
        echo "bench_peers.sh: skipped $package: it has no adapter" >&2
        continue
    fi
    case $package in
    zstd) set -- "$@" "$(peer_option zstd-3 zstd 3)" ;;
    *) set -- "$@" "$(peer_option "$package" "$package")" ;;
    esac
    case $package in
    openzl) set -- "$@" "$(peer_option openzl-fse openzl fse)" ;;
    z4ai) set -- "$@" "$(peer_option z4ai-fast z4ai fast)" ;;
    esac
done
[ "${SLOW:-}" != yes ] || set -- "$@" "$(peer_option zstd-19 zstd 19)"

if [ -n "${RATIOS:-}" ]; then
    install presets || { echo "bench_peers.sh: $(tail -n 1 "$environments/presets.log")" >&2; exit 5; }
    for spec in balanced seed lmc zipnn bitx sparse-sync delta-xor+byte-group+zstd:level=19 delta-xor+byte-group+xz \
        delta-xor+byte-group+bzip2; do
        set -- "$@" "--own=$spec"
    done
    mkdir -p "$(dirname "$RATIOS")"
    exec "$environments/presets/bin/python" -B "$here/peers/pair_ratios.py" run "$RATIOS" "$@" --mithril "$MITHRIL"
fi

mkdir -p "$(dirname "$ROWS")"
exec "$MITHRIL" bench --matrix "$MATRIX" --json "$ROWS" --resident "$@"
