# Sourced: lets this machine run aarch64 programs until the calling script ends, and `need` name what is missing.
# Needs root and qemu-user-static. What was mounted or registered before stays so.
need() { PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null || { echo "missing: $1; install it with: apt install $2" >&2; exit 69; }; }
[ "$(id -u)" = 0 ] || { echo "missing: root; run it with: sudo make test-arm" >&2; exit 77; }
need mmdebstrap mmdebstrap
need qemu-aarch64-static qemu-user-static

binfmt=/proc/sys/fs/binfmt_misc
mounted=() registered=
undo_emulator() {
    local place
    for place in "${mounted[@]}"; do [ "$place" = "$binfmt" ] || umount "$place" || true; done
    [ -z "$registered" ] || echo -1 >"$binfmt/qemu-aarch64"
    for place in "${mounted[@]}"; do [ "$place" != "$binfmt" ] || umount "$place" || true; done
}
trap undo_emulator EXIT
if [ ! -e "$binfmt/register" ]; then
    mount -t binfmt_misc binfmt_misc "$binfmt"
    mounted+=("$binfmt")
fi
if [ ! -e "$binfmt/qemu-aarch64" ]; then
    cat /usr/lib/binfmt.d/qemu-aarch64.conf >"$binfmt/register"     # flag F: works inside a chroot, children too
    registered=1
fi
