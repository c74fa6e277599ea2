#!/bin/sh
# Run make goals in a clean root of Debian that holds nothing but git, make and what Debian calls minimal: what a new user has.
# usage: clean_root_check.sh [-m MIRROR] [-s SUITE] [-d DIR] [-w] [GOAL]...      (as root, with debootstrap)
#
#   -m MIRROR  where packages come from (default: where this system's apt gets them)
#   -s SUITE   Debian's code name (default: bookworm)
#   -d DIR     the root to make; kept, and used again when it is there (default: a temporary one, removed at the end)
#   -w         the working tree, not the committed HEAD
#   GOAL       goals of make, each on its own, in order (default: bench test)
#
# apt's proxy, and its sources where this system is of the same suite, are taken over from this system.
set -eu

usage() {
    sed -n '2,3p' "$0" | sed 's/^# //' >&2
    exit 1
}
mirror='' suite=bookworm root='' worktree=0
while getopts m:s:d:w option; do
    case $option in
    m) mirror=$OPTARG ;;
    s) suite=$OPTARG ;;
    d) root=$OPTARG ;;
    w) worktree=1 ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- bench test

fail() {
    echo "clean_root_check: $*" >&2
    exit 1
}
[ "$(id -u)" = 0 ] || fail "must be root, to make a root and enter it"
command -v debootstrap >/dev/null || fail "needs debootstrap"
here=$(cd "$(dirname "$0")/.." && pwd)

same_suite=0
if [ -r /etc/os-release ] && grep -q "^VERSION_CODENAME=$suite\$" /etc/os-release; then same_suite=1; fi
if [ -z "$mirror" ] && [ $same_suite = 1 ]; then
    # shellcheck disable=SC2016 # apt's own variable
    mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $suite" 'Created-By: Packages' | head -n 1)
fi
[ -n "$mirror" ] || fail "this system's apt knows no mirror of $suite; name one with -m"

keep=1
if [ -z "$root" ]; then
    keep=0
    root=$(mktemp -d /var/tmp/mithril-root.XXXXXX)
fi
leave() {
    for mount in proc dev/shm dev/pts $devices; do
        if mountpoint -q "$root/$mount" 2>/dev/null || [ "$(findmnt -n -o TARGET "$root/$mount" 2>/dev/null)" ]; then
            umount "$root/$mount" || umount -l "$root/$mount"
        fi
    done
    [ $keep = 1 ] || rm -rf --one-file-system "$root"
}
devices=''
trap leave EXIT
trap 'exit 130' INT TERM

if [ ! -x "$root/usr/bin/make" ] || [ ! -x "$root/usr/bin/git" ]; then
    echo "== a clean root of $suite in $root"
    debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$root.log" 2>&1 || {
        tail -n 20 "$root.log" >&2
        fail "debootstrap failed"
    }
    rm -f "$root.log"
fi

# Network and packages as this system has them.
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
cp -L /etc/hosts "$root/etc/hosts"
apt-config dump | grep -iE '^Acquire::[a-z]+::Proxy ' >"$root/etc/apt/apt.conf.d/90proxy" || true
if [ $same_suite = 1 ]; then
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        [ -e "$list" ] || continue
        cp -L "$list" "$root$list"
        sed -nE 's/^Signed-By: *(\/.*)/\1/p; s/.*signed-by=([^] ]*).*/\1/p' "$list" | while read -r key; do
            [ -e "$root$key" ] || cp -L "$key" "$root$key"
        done
    done
    [ -e /etc/apt/sources.list ] || rm -f "$root/etc/apt/sources.list"
fi

mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
mkdir -p "$root/dev/shm"
mkdir -p "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
mountpoint -q "$root/dev/pts" || mount -t devpts devpts "$root/dev/pts"
# Where debootstrap may not make device files, those of this system.
for device in null zero full random urandom tty; do
    [ -c "$root/dev/$device" ] && continue
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
    devices="$devices dev/$device"
done

# Nothing of this environment goes in.
inside() {
    chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb \
        sh -c "$1" </dev/null
}

if [ ! -x "$root/usr/bin/make" ] || [ ! -x "$root/usr/bin/git" ]; then
    echo "== git and make"
    inside 'export DEBIAN_FRONTEND=noninteractive
        apt-get -qq update && apt-get -qq install -y --no-install-recommends git make' >/dev/null
fi

rm -rf "$root/srv/mithril"
if [ $worktree = 1 ]; then
    echo "== the working tree"
    mkdir -p "$root/srv/mithril"
    (cd "$here" && git ls-files --cached --others --exclude-standard -z |
        tar --null -T - --ignore-failed-read -cf -) | tar -xf - -C "$root/srv/mithril" --no-same-owner
else
    echo "== a clone of $(git -C "$here" rev-parse --short HEAD)"
    git -C "$here" bundle create -q "$root/srv/mithril.bundle" HEAD
    inside 'git clone -q /srv/mithril.bundle /srv/mithril'
fi

for goal in "$@"; do
    echo "== make $goal"
    started=$(date +%s)
    inside "cd /srv/mithril && make $goal" || fail "make $goal failed in the clean root"
    echo "== make $goal took $(($(date +%s) - started)) s"
done
