#!/bin/bash
# Makes an initramfs: a static busybox, the kernel modules MODULES and those that they need, and INIT as its first program.
# Run:  MODULES="virtio_pci 9p" make_initrd.sh MODULE_ROOT KERNEL_VERSION BUSYBOX OUTPUT INIT      (prepare.sh does)
set -euo pipefail
root=$1 version=$2 busybox=$3 output=$4 init=$5

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/{bin,dev,proc,sys,modules,lower,upper,root}
cp "$busybox" "$tree/bin/busybox"

# modprobe names what a module depends on before the module: numbers keep that order
number=0
declare -A taken
for module in $MODULES; do
    while read -r _ file _; do
        name=$(basename "$file")
        [ -z "${taken[$name]:-}" ] || continue
        taken[$name]=1
        cp "$file" "$tree/modules/$(printf %02d $number)-$name"
        number=$((number + 1))
    done < <(modprobe -d "$root" -S "$version" --show-depends "$module" | grep ^insmod)
done

cp "$init" "$tree/init"
chmod +x "$tree/init"
(cd "$tree" && find . | "$tree/bin/busybox" cpio -o -H newc 2>/dev/null | gzip -1) >"$output"
