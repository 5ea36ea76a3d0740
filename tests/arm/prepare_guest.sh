#!/bin/bash
# Makes the arm64 system that tests/arm/test_booted.py boots: a Debian 12 on a disk image, Debian's kernel, an initramfs.
# Run:  prepare_guest.sh GUEST        GUEST is a folder to keep (1 GB); done once, minutes. DEBIAN_MIRROR names a mirror.
# Needs root; apt install mmdebstrap qemu-user-static e2fsprogs kmod. Packages are set up by their own scripts, as aarch64;
# but the kernel's would make an initramfs of everything, which takes a quarter of an hour under emulation: it is only
# unpacked, and the modules that reach the disk are packed here.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
guest=${1:?usage: prepare_guest.sh GUEST}
[ ! -f "$guest/ready" ] || exit 0
. "$here/emulator.sh"
need mkfs.ext4 e2fsprogs
need depmod kmod
export PATH=$PATH:/usr/sbin:/sbin

rm -rf --one-file-system "$guest"
mkdir -p "$guest/kernel"
guest=$(cd "$guest" && pwd)
tree=$guest/tree kernel=$guest/kernel
fetch='cd "$1/../kernel" && export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
    name=$(apt-cache depends linux-image-arm64 | sed -n "s/.*Depends: \(linux-image-[0-9].*\)/\1/p" | head -n 1)
    apt-get download -qq -o APT::Sandbox::User=root "$name" busybox-static'
echo "making an arm64 Debian 12 in $guest: some minutes, once"
# check/qemu looks for a program that asks whether aarch64 runs here: emulator.sh has seen to that
timeout -k 10 1800 mmdebstrap --quiet --skip=check/qemu --variant=minbase --architectures=arm64 \
    --include=systemd,systemd-sysv,dbus,udev,kmod,python3,qemu-guest-agent --customize-hook="$fetch" \
    bookworm "$tree" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}"

for package in "$kernel"/*.deb; do dpkg-deb -x "$package" "$kernel"; done
version=$(basename "$kernel"/lib/modules/*)
depmod -b "$kernel" "$version"
cp "$kernel/boot/vmlinuz-$version" "$guest/vmlinuz"
MODULES="virtio_pci virtio_blk ext4" "$here/../vm/make_initrd.sh" "$kernel" "$version" "$kernel/bin/busybox" "$guest/initrd" "$here/init"
cp -a "$kernel/lib/modules" "$tree/usr/lib/"
rm -rf "$kernel"

echo gateway >"$tree/etc/hostname"
echo "/dev/vda / ext4 defaults 0 1
media /media 9p trans=virtio,version=9p2000.L,msize=512000,ro,nofail 0 0" >"$tree/etc/fstab"
truncate -s 3G "$guest/disk.img"
mkfs.ext4 -q -d "$tree" "$guest/disk.img"
rm -rf --one-file-system "$tree"
touch "$guest/ready"
