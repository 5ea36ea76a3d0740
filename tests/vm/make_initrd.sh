#!/bin/bash
# Makes an initramfs that lays a tmpfs over this machine's root directory (9p, read-only) and starts the program that
# OUT/init names: no image to build, the guest has every package of this machine.
# Run:  make_initrd.sh MODULE_ROOT KERNEL_VERSION BUSYBOX OUTPUT      (prepare.sh does; BUSYBOX is the static one)
set -euo pipefail
root=$1 version=$2 busybox=$3 output=$4

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/{bin,dev,proc,sys,modules,lower,upper,root}
cp "$busybox" "$tree/bin/busybox"

# modprobe names what a module depends on before the module: numbers keep that order
number=0
declare -A taken
for module in virtio_pci 9pnet_virtio 9p overlay virtio_console; do
    while read -r _ file _; do
        name=$(basename "$file")
        [ -z "${taken[$name]:-}" ] || continue
        taken[$name]=1
        cp "$file" "$tree/modules/$(printf %02d $number)-$name"
        number=$((number + 1))
    done < <(modprobe -d "$root" -S "$version" --show-depends "$module" | grep ^insmod)
done

cat >"$tree/init" <<'INIT'
#!/bin/busybox sh
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
$bb mount -t devtmpfs dev /dev
for module in /modules/*; do $bb insmod $module; done
share=trans=virtio,version=9p2000.L,msize=512000
$bb mount -t 9p -o $share,cache=loose,ro host /lower || exec $bb sh
$bb mount -t tmpfs -o size=1g tmpfs /upper
$bb mkdir -p /upper/data /upper/scratch
$bb mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/scratch overlay /root
$bb mkdir -p /root/mnt/out /root/usr/lib/modules /root/proc /root/sys /root/dev
$bb mount -t 9p -o $share,cache=loose,ro modules /root/usr/lib/modules
$bb mount -t 9p -o $share,cache=none out /root/mnt/out
$bb mount --move /dev /root/dev
$bb umount /proc /sys
exec $bb switch_root /root "$($bb cat /root/mnt/out/init)"
INIT
chmod +x "$tree/init"
(cd "$tree" && find . | "$tree/bin/busybox" cpio -o -H newc 2>/dev/null | gzip -1) >"$output"
