#!/bin/sh
# Laws of scripts/install_deps.sh, on made-up systems: directories of programs that stand in for PATH. Nothing is installed.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

# A system without compiler, pkg-config, package manager and sudo.
mkdir "$dir/bin"
for program in sh awk sed grep dirname find mktemp rm head tail cut tr cat; do
    ln -s "$(command -v "$program")" "$dir/bin/$program"
done
printf '#!/bin/sh\necho 0\n' >"$dir/bin/id"
chmod +x "$dir/bin/id"

# on_it GROUP...: the script on that system; status in $status, what it printed in $dir/out.
on_it() {
    status=0
    env -i PATH="$dir/bin" HOME="$dir" TMPDIR="$dir" sh "$root/scripts/install_deps.sh" "$@" >"$dir/out" 2>&1 || status=$?
}

law() {
    if [ "$2" = 0 ]; then
        echo "ok $1"
    else
        echo "not ok $1"
        sed 's/^/# /' "$dir/out"
        failed=1
    fi
}
holds() { if "$@"; then echo 0; else echo 1; fi; }
# shellcheck disable=SC2317 # holds calls it
says() { grep -q -e "$1" "$dir/out"; }

on_it build test
law without_apt_get_it_fails "$(holds [ $status = 1 ])"
law without_apt_get_it_names_the_packages_of_fedora "$(holds says '^dnf install .*libzstd-devel .*libcmocka-devel .*gcc')"
law without_apt_get_it_names_the_packages_of_arch "$(holds says '^pacman -S .*zstd .*cmocka .*gcc')"
law without_apt_get_it_names_the_packages_of_homebrew "$(holds says '^brew install .*zstd .*cmocka .*gcc')"
law optional_packages_stand_apart "$(holds says '^dnf install libdeflate-devel .*optional')"
law the_last_line_says_what_is_missing "$(tail -n 1 "$dir/out" | grep -q '^install_deps: .*ZSTD.*a C compiler' && echo 0 || echo 1)"

on_it fuzz
law fuzzing_wants_the_runtime_beside_the_compiler "$(holds says '^dnf install clang compiler-rt')"

on_it biuld
law an_unknown_group_is_refused "$(holds [ $status = 1 ])"
law an_unknown_group_is_told_the_groups "$(holds says 'build test lint fuzz report fetch arm all')"

# An apt-get that says yes and does nothing.
printf '#!/bin/sh\necho "apt-get $*" >>"%s/calls"\n' "$dir" >"$dir/bin/apt-get"
chmod +x "$dir/bin/apt-get"
on_it build test
law apt_get_is_asked_for_all_that_is_required \
    "$(grep -q '^apt-get install -y -q --no-install-recommends libzstd-dev .*libcmocka-dev .*gcc libc6-dev .*pkg-config' "$dir/calls" &&
        echo 0 || echo 1)"
law optional_packages_are_asked_for_apart "$(grep -q '^apt-get install .* libdeflate-dev' "$dir/calls" && echo 0 || echo 1)"
law an_installation_that_changed_nothing_is_noticed "$(holds [ $status = 1 ])"
law what_is_still_missing_is_named "$(holds says 'still missing')"

# Not root, no sudo.
printf '#!/bin/sh\necho 1000\n' >"$dir/bin/id"
rm "$dir/calls"
on_it build
law without_root_and_sudo_it_says_what_root_must_do "$(holds says 'as root: .*apt-get install -y libzstd-dev')"
law without_root_and_sudo_it_calls_nothing "$(holds [ ! -e "$dir/calls" ])"

# A sudo that passes on what it is given.
printf '#!/bin/sh\necho "sudo $*" >>"%s/calls"\n' "$dir" >"$dir/bin/sudo"
chmod +x "$dir/bin/sudo"
on_it build
law without_a_terminal_sudo_never_asks "$(grep -q '^sudo -n .*apt-get install' "$dir/calls" && echo 0 || echo 1)"

# A sudo that lets nobody: one line, the same, and nothing is tried.
printf '#!/bin/sh\necho "sudo: a password is required" >&2\nexit 1\n' >"$dir/bin/sudo"
rm "$dir/calls"
on_it build
law where_sudo_refuses_it_says_what_root_must_do "$(holds says 'as root: .*apt-get install -y libzstd-dev')"
law where_sudo_refuses_that_is_all_it_says "$(holds [ "$(wc -l <"$dir/out")" = 1 ])"
law where_sudo_refuses_nothing_is_installed "$(holds [ ! -e "$dir/calls" ])"

# An apt-get that knows no optional package, on a system where the rest is there.
mkdir "$dir/real"
printf '#!/bin/sh\ncase " $* " in *lib*) exit 100 ;; esac\n' >"$dir/real/apt-get"
printf '#!/bin/sh\necho 0\n' >"$dir/real/id"
chmod +x "$dir/real/apt-get" "$dir/real/id"
mkdir -p "$dir/copy/scripts"
cp "$root"/scripts/*.sh "$root"/scripts/*.tsv "$dir/copy/scripts/"
printf 'optional\tNOSUCH\t-\tno/such.h\t-lnosuch\tlibnosuch-dev\tnosuch\tnosuch\tnosuch\n' >>"$dir/copy/scripts/libraries.tsv"
status=0
PATH="$dir/real:$PATH" sh "$dir/copy/scripts/install_deps.sh" build >"$dir/out" 2>&1 </dev/null || status=$?
law a_missing_optional_package_is_no_failure "$(holds [ $status = 0 ])"
law a_missing_optional_package_is_one_warning "$(holds [ "$(grep -c 'without the optional package libnosuch-dev' "$dir/out")" = 1 ])"

status=0
PATH="$dir/real:$PATH" sh "$root/scripts/install_deps.sh" build >"$dir/out" 2>&1 </dev/null || status=$?
law where_all_is_there_it_succeeds "$(holds [ $status = 0 ])"

exit $failed
