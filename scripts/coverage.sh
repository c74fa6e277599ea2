#!/bin/sh
# Line coverage of our own parsers and decoders, by gcov, from builds that ran their tests and replayed the fuzz corpora.
# usage: coverage.sh TESTS_BUILD REPLAY_BUILD      (COVERAGE_FLOOR: percent, 85 when not set)
#
# One line a file: lines that can run; percent that the corpora reach, that the tests reach, that either does; and up to
# twelve of the lines that nothing reaches. A line counts when any build has it, so that what only a fuzzing build leaves out
# is judged by the tests. Exit status 1 when a file is below the floor, 2 when there is nothing to judge by.
set -u

tests=$1 replay=$2
floor=${COVERAGE_FLOOR:-85}
cd "$(dirname "$0")/.." || exit 2
listing=$(mktemp)
trap 'rm -f "$listing"' EXIT

command -v gcov >/dev/null || {
    echo "coverage: gcov is not installed (it comes with gcc)"
    exit 2
}

# What reads bytes that come from outside: checkpoint files, containers, specs, our own coded streams, JSON.
parsers() {
    for file in formats/*.c formats/*/*.c pipeline/container_*.c pipeline/bundle_decode.c pipeline/chunk_decode.c \
        pipeline/stream_decode.c pipeline/spec.c transforms/*.c transforms/*/*.c codecs/*/*.c harness/json.c harness/manifest_parse.c; do
        case $file in *_registry.c) continue ;; esac
        # Kernels that this processor can not run; tests run their source over emulated intrinsics, which is another object.
        case $file in *_avx512.c) grep -qw avx512_vbmi2 /proc/cpuinfo 2>/dev/null || continue ;; esac
        [ ! -e "$file" ] || echo "$file"
    done
}

# lines BUILD SOURCE: how often each line ran, as gcov prints it: "count: line: text" (- no code, ##### never).
lines() {
    object=$1/obj/${2%.c}
    [ -e "$object.gcno" ] || return 0
    gcov --stdout --object-file "$object.o" "$object.gcda" 2>/dev/null | awk -v source="$2" '
        / 0:Source:/ { here = $0; sub(/.*0:Source:/, "", here) }
        here == source'
}

printf '%-44s %6s %8s %8s %8s  %s\n' file lines corpora tests both 'not reached'
for source in $(parsers); do
    {
        lines "$replay" "$source" | sed 's/^/corpora:/'
        lines "$tests" "$source" | sed 's/^/tests:/'
    } >"$listing"
    awk -F : -v source="$source" -v floor="$floor" '
        { count = $2; gsub(/[ *]/, "", count); line = $3 + 0 }
        line == 0 || count == "-" { next }
        { code[line] = 1 }
        # A line that a macro or a template makes several functions of is there several times.
        count !~ /^[#=]/ { seen[line] = 1; if (!(($1, line) in ran)) { ran[$1, line] = 1; by[$1]++ } }
        END {
            for (line in code) { n++; if (line in seen) both++; if (line + 0 > last) last = line + 0 }
            if (n == 0) exit 0
            for (line = 1; line <= last; line++) {
                if (!(line in code) || line in seen) continue
                if (missed++ < 12) list = list " " line
                else if (missed == 13) list = list " ..."
            }
            share = 100 * both / n
            printf "%-44s %6d %7.1f%% %7.1f%% %7.1f%% %s%s\n", source, n, 100 * by["corpora"] / n, 100 * by["tests"] / n,
                share, list, share < floor ? "  BELOW " floor "%" : ""
        }' "$listing"
done | tee "$replay/coverage.txt"

[ -s "$replay/coverage.txt" ] || {
    echo "coverage: no file of $tests or $replay was built for gcov"
    exit 2
}
below=$(grep -c 'BELOW' "$replay/coverage.txt")
echo "$(grep -c . "$replay/coverage.txt") files, $below below $floor % of their lines"
[ "$below" = 0 ]
