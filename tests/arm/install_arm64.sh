#!/bin/bash
# A machine for aarch64 out of our Debian package, under qemu user emulation: install_arm64.sh ROOT. Called by arm64.sh,
# which registers the emulator. The package is built here, its scripts and everything it starts run as aarch64.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
root=${1:?usage: install_arm64.sh ROOT}
PY=${PY:-python3}

if [ ! -e "$root/bin/dash" ]; then
    rm -rf "$root"
    mmdebstrap --quiet --variant=extract --architectures=arm64 \
        --include=python3,libpython3-stdlib,dash,coreutils,sed,grep,findutils,diffutils,libc-bin,tzdata \
        bookworm "$root" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}"
    ln -sf dash "$root/bin/sh"
    printf 'root:x:0:0::/root:/bin/sh\nfieldpost:x:990:990::/var/lib/fieldpost:/bin/false\n' >"$root/etc/passwd"
    printf 'root:x:0:\nfieldpost:x:990:\n' >"$root/etc/group"
fi
rm -rf "$root"/{opt,etc,var/lib}/fieldpost "$root"/var/lib/fieldpost-floor "$root"/usr/lib/fieldpost
packages=$(mktemp -d)
trap 'umount "$root/proc" 2>/dev/null || true; rm -rf "$packages"' EXIT
mkdir -p "$root/proc"
mount -t proc proc "$root/proc"
package=$(PY=$PY "$project/packaging/debian/build.sh" "$packages" aarch64)
dpkg-deb -x "$package" "$root"
dpkg-deb -e "$package" "$packages/scripts"
install -m 0755 "$packages/scripts/postinst" "$root/postinst"

inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 chroot "$root" "$@"; }
expect() { # WHAT COMMAND...: it says WHAT
    local what=$1 said
    shift
    said=$(inside "$@" 2>&1) || { echo "$* failed: $said" >&2; exit 1; }
    case $said in *"$what"*) echo "arm64: $said" | tail -n 1 ;; *) echo "$* said: $said" >&2; exit 1 ;; esac
}

expect "fieldpost: changed " /postinst configure
expect "fieldpost: unchanged " /postinst configure
expect "starting " /usr/lib/fieldpost/slotctl boot
expect '"good": "' /usr/lib/fieldpost/slotctl status
expect aarch64 /usr/lib/fieldpost/slot-exec -I -c 'import platform, lmdb, msgspec, cryptography; print(platform.machine())'
expect '{"unusable": []}' /usr/lib/fieldpost/slot-exec -I -m gateway.ota.selftest /etc/fieldpost /var/lib/fieldpost
expect "" /usr/bin/fieldpost check --config /etc/fieldpost
rm -f "$root/postinst"
