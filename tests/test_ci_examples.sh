#!/bin/sh
# The workflows of examples/ci call nothing of ours but targets of the Makefile, and the project's own CI calls `make compare` too.
set -u
cd "$(dirname "$0")/.." || exit 1

judge() {
    name=$1
    shift
    if "$@"; then echo "ok $name"; else echo "not ok $name"; fi
}

# Every word behind `make` that is no option and no variable.
targets_of() {
    grep -o 'make [^|&#]*' "$1" | grep -v 'apt-get' | sed 's/-C [^ ]*//g' | tr ' ' '\n' |
        grep -E '^[a-z][a-z-]*$' | grep -v '^make$' | sort -u
}

workflows_call_targets_that_exist() {
    for file in examples/ci/*.yml; do
        targets=$(targets_of "$file")
        case "$targets" in *compare*) ;; *) return 1 ;; esac
        for target in $targets; do
            grep -q "^$target:" Makefile || { echo "# $file: no target $target" && return 1; }
        done
    done
}

workflows_call_no_script_of_ours() {
    ! grep -nE 'scripts/|build/mithril +[a-z]' examples/ci/*.yml
}

our_own_ci_compares_sizes() {
    grep -q '^make compare$' .ci/run
}

a_gate_that_looks_at_less_says_so() {
    rm -f "$dir/compare.md"
    BUILD=$dir scripts/compare.sh tiny-gpt -p store >"$dir/log" 2>&1
    # Of twenty golden cells one is measured and it is none of them: missing ones are named, and nothing is said to be fine.
    [ "$(cat "$dir/compare.code")" = 4 ] && grep -q '### mithril compare: INCONCLUSIVE' "$dir/compare.md" &&
        grep -q 'MISSING' "$dir/compare.md"
}

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
case ${MITHRIL:-build/mithril} in
/*) ln -s "${MITHRIL:-}" "$dir/mithril" ;;
*) ln -s "$PWD/${MITHRIL:-build/mithril}" "$dir/mithril" ;;
esac
judge workflows_call_targets_that_exist workflows_call_targets_that_exist
judge workflows_call_no_script_of_ours workflows_call_no_script_of_ours
judge our_own_ci_compares_sizes our_own_ci_compares_sizes
judge a_gate_that_looks_at_less_says_so a_gate_that_looks_at_less_says_so
