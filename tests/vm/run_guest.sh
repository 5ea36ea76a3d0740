#!/bin/bash
# Boots the guest of prepare.sh: a Debian kernel on this machine's root directory, for what its own kernel may lack.
# Run:  run_guest.sh GUEST OUT INIT      INIT (absolute path) is the guest's process 1; OUT is /mnt/out in it
#       VM_ACCEL=kvm (default tcg, which runs everywhere), VM_TIMEOUT=300 seconds, VM_MEM=1024 MB
# Prints the guest's console. INIT ends with `echo o >/proc/sysrq-trigger`.
set -euo pipefail
[ $# -eq 3 ] || { echo "usage: run_guest.sh GUEST OUT INIT" >&2; exit 64; }
guest=$(cd "$1" && pwd) out=$(cd "$2" && pwd)
echo "$3" >"$out/init"
accel=${VM_ACCEL:-tcg}
cpu=max
[ "$accel" != kvm ] || cpu=host,-arch-capabilities

exec timeout -k 5 "${VM_TIMEOUT:-300}" qemu-system-x86_64 \
    -machine "q35,accel=$accel" -cpu "$cpu" -smp 2 -m "${VM_MEM:-1024}" \
    -nodefaults -no-user-config -display none -no-reboot -nic none -serial stdio \
    -kernel "$guest"/boot/vmlinuz-* -initrd "$guest/initrd.gz" -append "console=ttyS0 quiet panic=-1" \
    -virtfs local,path=/,mount_tag=host,security_model=passthrough,readonly=on,multidevs=remap \
    -virtfs local,path="$guest/lib/modules",mount_tag=modules,security_model=passthrough,readonly=on \
    -virtfs local,path="$out",mount_tag=out,security_model=none
