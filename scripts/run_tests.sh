#!/bin/sh
# Run test programs, keep a log of each, and count test functions.
# usage: run_tests.sh LOG_DIR PROGRAM...      (TEST_JOBS: how many at once; TEST_SECONDS: limit for one program)
#
# A program is a cmocka program or a shell script that prints "ok NAME", "not ok NAME" and "skip NAME: why". What a program
# announced but did not finish (a crash, an early exit) counts as failed, and so does one that ran nothing or that fails as a
# whole. The last line is "N passed, N failed"; the exit status is 0 only when nothing failed.
set -u

# Counts in one log: passed, failed, skipped. A test is open from its RUN line to its OK, FAILED or SKIPPED line; names that
# cmocka lists again in its summary are not open any more.
count() {
    awk '
        /^\[=+\] Running [0-9]+ test/                 { planned += $3 }
        /^\[ RUN      \] /                            { name = $0; sub(/^.*\] /, "", name); open = 1 }
        open && index($0, "[       OK ] " name) == 1  { ok++; open = 0 }
        open && index($0, "[  FAILED  ] " name) == 1  { bad++; open = 0 }
        open && index($0, "[  SKIPPED ] " name) == 1  { skipped++; open = 0 }
        /^ok /                                        { ok++; planned++ }
        /^not ok /                                    { bad++; planned++ }
        /^skip /                                      { skipped++; planned++ }
        END {
            lost = planned - ok - bad - skipped
            print ok + 0, bad + (lost > 0 ? lost : 0), skipped + 0
        }' "$1"
}

# Run one program and print its line.
run_one() {
    logs=$1 program=$2
    name=$(basename "$program")
    log=$logs/$name.log
    started=$(date +%s)
    case $program in
    *.sh) set -- sh "$program" ;;
    *) set -- "$program" ;;
    esac
    CMOCKA_MESSAGE_OUTPUT=stdout timeout -k 10 "${TEST_SECONDS:-900}" "$@" >"$log" 2>&1 </dev/null
    status=$?
    seconds=$(($(date +%s) - started))
    # shellcheck disable=SC2046 # three words
    set -- $(count "$log")
    passed=$1 failed=$2 skipped=$3
    note=''
    [ "$skipped" -gt 0 ] && note=", $skipped skipped"
    if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
    if [ "$status" -eq 0 ] && [ $((passed + failed + skipped)) -eq 0 ]; then
        failed=1
        note=', ran no tests'
    fi
    case $status in
    0) ;;
    124 | 137) note="$note, stopped after $seconds s" ;;
    *) note="$note, exit status $status" ;;
    esac
    echo "$passed $failed" >"$logs/$name.count"
    {
        if [ "$failed" -gt 0 ]; then
            echo "---- the end of $log"
            tail -n 40 "$log"
            echo "----"
        fi
        printf '%-32s %5d passed %3d failed %4d s%s\n' "$name" "$passed" "$failed" "$seconds" "$note"
    } >"$logs/$name.line"
    # In one write, so that programs that run side by side do not mix their lines.
    cat "$logs/$name.line"
}

if [ "$1" = --one ]; then
    run_one "$2" "$3"
    exit 0
fi

logs=$1
shift
mkdir -p "$logs"
rm -f "$logs"/*.log "$logs"/*.count "$logs"/*.line
printf '%s\n' "$@" | xargs -P "${TEST_JOBS:-1}" -n 1 sh "$0" --one "$logs"

passed=0 failed=0 n=0
for counts in "$logs"/*.count; do
    [ -e "$counts" ] || continue
    read -r p f <"$counts"
    passed=$((passed + p)) failed=$((failed + f)) n=$((n + 1))
done
if [ "$n" -ne $# ]; then
    echo "run_tests: $# programs, but $n results"
    failed=$((failed + 1))
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
