#!/bin/bash
# Fetches a Debian kernel and makes the initramfs that run_guest.sh boots: its own kernel, everything else from this machine.
# Run:  tests/vm/prepare.sh GUEST        GUEST is a directory to keep (about 410 MB); done once
#       KERNEL=linux-image-6.1.0-56-amd64 names another kernel package; default: what linux-image-amd64 depends on
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
guest=${1:?usage: prepare.sh GUEST}
for part in depmod apt-get dpkg-deb; do
    command -v "$part" >/dev/null || PATH=$PATH:/usr/sbin:/sbin command -v "$part" >/dev/null || { echo "missing: $part; install it with: apt install kmod dpkg" >&2; exit 69; }
done
export PATH=$PATH:/usr/sbin:/sbin
[ ! -f "$guest/initrd.gz" ] || exit 0
mkdir -p "$guest"
guest=$(cd "$guest" && pwd)
packages=$(mktemp -d)
chmod 755 "$packages" # apt fetches as a user of its own
trap 'rm -rf "$packages"' EXIT

if [ ! -d "$guest/lib/modules" ]; then
    kernel=${KERNEL:-$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)}
    (cd "$packages" && apt-get download -q "$kernel" busybox-static)
    dpkg-deb -x "$packages/$kernel"_*.deb "$guest"
    dpkg-deb -x "$packages"/busybox-static_*.deb "$guest"
fi
version=$(basename "$guest"/lib/modules/*)
depmod -b "$guest" "$version"
MODULES="virtio_pci 9pnet_virtio 9p overlay virtio_console" \
    "$here/make_initrd.sh" "$guest" "$version" "$guest/bin/busybox" "$guest/initrd.gz" "$here/init"
echo "guest ready: kernel $version"
