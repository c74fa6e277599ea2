#!/bin/sh
# Install the packages that mithril needs and this system lacks.
# usage: install_deps.sh [build|test|lint|fuzz|report|fetch|arm|all]...      (no group: build)
#
# Looks for the libraries of libraries.tsv and the programs of tools.tsv; silent when all are there. On Debian, Ubuntu and their
# kin the missing ones are installed with apt-get, through sudo when not root. Elsewhere it prints the names of the packages for
# dnf, pacman and brew. A library that only adds a codec may be missing: that is one line of warning.
# Exit status: 0 all that is required is there, 1 it is not.
set -eu

here=$(dirname "$0")
tab=$(printf '\t')
export DEBIAN_FRONTEND=noninteractive

say() { echo "install_deps: $*" >&2; }

groups=" ${*:-build} "
case $groups in *' all '*) groups=' build test lint fuzz report fetch ' ;; esac
for group in $groups; do
    case $group in
    build | test | lint | fuzz | report | fetch | arm) ;;
    *)
        say "no group '$group'; groups: build test lint fuzz report fetch arm all"
        exit 1
        ;;
    esac
done
wanted() { case $groups in *" $1 "*) return 0 ;; *) return 1 ;; esac }

# Print what is missing, one line each: need, what, packages for apt, dnf, pacman, brew.
list_missing() {
    # Libraries are looked for only where something is compiled.
    if wanted build || wanted test; then
        "$here/find_libraries.sh" | while IFS="$tab" read -r need macro found _ _ apt dnf pacman brew; do
            [ "$found" = 1 ] && continue
            group=build
            if [ "$need" = test ]; then group='test' need=required; fi
            wanted "$group" || continue
            printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$need" "$macro" "$apt" "$dnf" "$pacman" "$brew"
        done
    fi
    while IFS="$tab" read -r group need what probe apt dnf pacman brew; do
        case $group in '#'* | '') continue ;; esac
        wanted "$group" || continue
        sh -c "$probe" >/dev/null 2>&1 </dev/null && continue
        printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$need" "$what" "$apt" "$dnf" "$pacman" "$brew"
    done <"$here/tools.tsv"
}

# column NEED FIELD: that field of the missing ones of that need, each word once.
column() {
    printf '%s\n' "$missing" | awk -F '\t' -v need="$1" -v field="$2" '
        $1 == need { n = split($field, words, " "); for (i = 1; i <= n; i++) if (words[i] != "-" && !seen[words[i]]++) line = line " " words[i] }
        END { print substr(line, 2) }'
}

apt() {
    if [ "$(id -u)" = 0 ]; then
        apt-get "$@"
    elif [ -t 0 ]; then
        sudo DEBIAN_FRONTEND=noninteractive apt-get "$@"
    else
        sudo -n DEBIAN_FRONTEND=noninteractive apt-get "$@"
    fi
}

# Root may, and so may whom sudo lets: at a terminal it asks for a password, once for this and for what follows.
may_install() {
    [ "$(id -u)" = 0 ] && return 0
    command -v sudo >/dev/null 2>&1 || return 1
    if [ -t 0 ]; then apt --version >/dev/null; else apt --version >/dev/null 2>&1; fi
}

# Package lists that are empty or older than a day name versions that a mirror may no longer have.
lists_are_fresh() {
    [ -n "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -mtime -1 2>/dev/null | head -n 1)" ]
}

update_once() {
    [ -n "${updated:-}" ] && return 0
    updated=1
    apt update -q >&2 || say 'apt-get update failed; going on with the lists that are there'
}

apt_install() {
    # shellcheck disable=SC2086 # words
    apt install -y -q --no-install-recommends $1 >&2
}

missing=$(list_missing)
[ -z "$missing" ] && exit 0
required=$(column required 3)
optional=$(column optional 3)

if ! command -v apt-get >/dev/null 2>&1; then
    for manager in 4:dnf\ install 5:pacman\ -S 6:brew\ install; do
        names=$(column required "${manager%%:*}")
        more=$(column optional "${manager%%:*}")
        [ -z "$names" ] || echo "${manager#*:} $names" >&2
        [ -z "$more" ] || echo "${manager#*:} $more      # optional, for more codecs and checks" >&2
    done
    if [ -n "$required" ]; then
        say "no apt-get here; install what is missing by one of the lines above: $(printf '%s\n' "$missing" |
            awk -F '\t' '$1 == "required" { printf "%s%s", sep, $2; sep = ", " }')"
        exit 1
    fi
    say "going on without optional libraries: $(printf '%s\n' "$missing" | cut -f 2 | tr '\n' ' ')"
    exit 0
fi

if ! may_install; then
    if [ -n "$required" ]; then
        lists_are_fresh || update='apt-get update && '
        say "neither root nor let by sudo; as root: ${update:-}apt-get install -y $required${optional:+ $optional}"
        exit 1
    fi
    say "going on without optional packages: $optional"
    exit 0
fi

# Not for optional ones alone: without a network that would take its time at every call.
[ -z "$required" ] || lists_are_fresh || update_once
if [ -n "$required" ]; then
    say "installing $required"
    if ! apt_install "$required"; then
        update_once
        if ! apt_install "$required"; then
            say "apt-get could not install: $required"
            exit 1
        fi
    fi
fi
if [ -n "$optional" ]; then
    say "installing $optional"
    # All in one go; only when that fails one by one, to lose no more than must be.
    if ! apt_install "$optional" 2>/dev/null; then
        for package in $optional; do
            apt_install "$package" 2>/dev/null || say "going on without the optional package $package"
        done
    fi
fi

missing=$(list_missing)
still=$(column required 2)
if [ -n "$still" ]; then
    say "still missing after the installation: $still"
    exit 1
fi
