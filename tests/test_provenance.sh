#!/bin/sh
# What make stamps a build with: the commit, and the hash of what was changed since; in a repository of its own, because this tree may
# be none. Skipped where there is no git. That rows tell these stamps is tests/test_conditions.c's.
set -u
cd "$(dirname "$0")/.." || exit 1
if ! command -v git >/dev/null; then
    echo "skip stamps_of_a_build: needs git"
    exit 0
fi
make=${MAKE:-make}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# Whatever repository and make called this.
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE MAKEFLAGS MAKELEVEL MFLAGS 2>/dev/null
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1

judge() {
    if "$1" >"$dir/log" 2>&1; then echo "ok $1"; else
        sed 's/^/# /' "$dir/log"
        echo "not ok $1"
    fi
}

# The stamps, made anew; BUILD is outside, so that it is no change.
stamp() {
    "$make" -s -C "$dir/tree" BUILD="$dir/build" "$dir/build/commit" "$dir/build/diff" >/dev/null || return 1
    commit=$(cat "$dir/build/commit")
    diff=$(cat "$dir/build/diff")
}

in_tree() { git -C "$dir/tree" -c user.name=nobody -c user.email=nobody@localhost "$@"; }

a_clean_tree_has_its_commit_and_no_diff() {
    stamp && [ "$commit" = "$(in_tree describe --always)" ] && [ -z "$diff" ]
}

a_change_is_told_by_its_hash() {
    echo 'one change' >>"$dir/tree/README.md"
    stamp || return 1
    first=$diff
    [ "$commit" = "$(in_tree describe --always)-dirty" ] || return 1
    [ "$first" = "$(in_tree diff HEAD | git hash-object --stdin)" ] || return 1
    # What is staged is not committed.
    in_tree add README.md && stamp && [ "$diff" = "$first" ]
}

another_change_has_another_hash_and_none_has_none() {
    echo 'and another' >>"$dir/tree/README.md"
    stamp && [ -n "$diff" ] && [ "$diff" != "$first" ] || return 1
    before=$commit
    in_tree commit -qam 'Changed' && stamp && [ -z "$diff" ] && [ "$commit-dirty" != "$before" ]
}

a_tree_without_git_has_neither() {
    mv "$dir/tree/.git" "$dir/hidden"
    stamp && [ -z "$commit" ] && [ -z "$diff" ]
}

mkdir "$dir/tree"
cp -R Makefile scripts README.md "$dir/tree" || exit 1
in_tree init -q && in_tree add -A && in_tree commit -qm 'As it is' || exit 1
first=
judge a_clean_tree_has_its_commit_and_no_diff
judge a_change_is_told_by_its_hash
judge another_change_has_another_hash_and_none_has_none
judge a_tree_without_git_has_neither
