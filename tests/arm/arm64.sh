#!/bin/bash
# The core's tests on aarch64 under qemu user emulation: arm64.sh [ROOT]     (default: .cache/arm64)
# Needs root; apt install mmdebstrap qemu-user-static; pip of the environment in $PY. DEBIAN_MIRROR names a mirror.
# ROOT is made on the first run (Python of Debian 12, extracted only: no second stage) and used again later. Our
# package and its aarch64 wheels are put in from outside: a dependency without such a wheel fails here, as it should.
# Before them, a machine is made of the Debian package for aarch64: installed by its own scripts, its slot tested, started
# as far as that goes without a service manager. INSTALL_ONLY=1 ends there.
# 4 to 20 times slower than native: deadlines are stretched, nothing asserts a time.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
PY=${PY:-python3}
root=${1:-$project/.cache/arm64}

need() { command -v "$1" >/dev/null || { echo "missing: $1; install it with: apt install $2" >&2; exit 69; }; }
[ "$(id -u)" = 0 ] || { echo "missing: root; run it with: sudo make test-arm" >&2; exit 77; }
need mmdebstrap mmdebstrap
need qemu-aarch64-static qemu-user-static

binfmt=/proc/sys/fs/binfmt_misc
mounted=() registered=
undo() {
    local place
    for place in "${mounted[@]}"; do [ "$place" = "$binfmt" ] || umount "$place" || true; done
    [ -z "$registered" ] || echo -1 >"$binfmt/qemu-aarch64"
    for place in "${mounted[@]}"; do [ "$place" != "$binfmt" ] || umount "$place" || true; done
}
trap undo EXIT

if [ ! -e "$root/usr/bin/python3" ]; then
    mkdir -p "$(dirname "$root")"
    mmdebstrap --quiet --variant=extract --architectures=arm64 --include=python3,libpython3-stdlib,ca-certificates,tzdata \
        bookworm "$root" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}"
fi

# Dependencies as the package states them, for the target; the tests' own tools beside them.
site=$root/opt/site
stamp=$(sha256sum "$project/setup.cfg" | cut -c1-16)
if [ ! -e "$root/opt/site.$stamp" ]; then
    rm -rf "$site" "$root"/opt/site.*
    mapfile -t wanted < <("$PY" - "$project/setup.cfg" <<'PYTHON'
import configparser, sys
config = configparser.ConfigParser()
config.read(sys.argv[1])
wanted = config["options"]["install_requires"] + config["options.extras_require"]["modbus"]
print("\n".join(line for line in wanted.splitlines() if line))
PYTHON
    )
    "$PY" -m pip install --quiet --disable-pip-version-check --target "$site" --only-binary=:all: --python-version 3.11 \
        --implementation cp --platform manylinux_2_28_aarch64 --platform manylinux_2_17_aarch64 \
        --platform manylinux2014_aarch64 "${wanted[@]}" pytest pytest-asyncio pytest-timeout hypothesis
    touch "$root/opt/site.$stamp"
fi

# Our sources, and their metadata as an installation leaves it (version, entry points).
rm -rf "$root/opt/fieldpost" "$site"/fieldpost-*.dist-info
mkdir -p "$root/opt/fieldpost"
tar -C "$project" --exclude=__pycache__ -cf - gateway drivers rules config tests setup.cfg README.md \
    $(cd "$project" && ls -d docs CHANGELOG.md Containerfile compose.yaml systemd 2>/dev/null) |
    tar -C "$root/opt/fieldpost" -xf -
wheels=$(mktemp -d)
"$PY" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$wheels" "$project"
"$PY" -m zipfile -e "$wheels"/fieldpost-*.whl "$wheels/unpacked"
cp -r "$wheels"/unpacked/fieldpost-*.dist-info "$site/"
rm -rf "$wheels"

if [ ! -e "$binfmt/register" ]; then
    mount -t binfmt_misc binfmt_misc "$binfmt"
    mounted+=("$binfmt")
fi
if [ ! -e "$binfmt/qemu-aarch64" ]; then
    cat /usr/lib/binfmt.d/qemu-aarch64.conf >"$binfmt/register"     # flag F: works inside the chroot, children too
    registered=1
fi
PY=$PY "$here/install_arm64.sh" "$root-installed"
[ -z "${INSTALL_ONLY:-}" ] || exit 0

mkdir -p "$root/proc" "$root/dev" "$root/tmp"
mount -t proc proc "$root/proc" && mounted+=("$root/proc")
mount --bind /dev "$root/dev" && mounted+=("$root/dev")

# No shell inside (nothing is configured there): Python itself changes into the folder.
in_root() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 PYTHONPATH=/opt/fieldpost:/opt/site PYTHONDONTWRITEBYTECODE=1 \
        FIELDPOST_SLOW=20 TMPDIR=/tmp chroot "$root" /usr/bin/python3 -c '
import os, sys
os.chdir("/opt/fieldpost")
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])' "$@"
}
in_root -c 'import platform, lmdb, msgpack, msgspec
print(platform.machine(), platform.python_version(), "lmdb", lmdb.version())'
# The core: what runs on the device and could differ there. The command line, the configuration's 500 cases, the demo and
# packaging are plain Python and are left to the native run; so are the store's fifty byte flips (a process each).
core=(tests/unit/store tests/unit/kernel tests/unit/values tests/unit/runtime tests/unit/transform tests/unit/uplink
    tests/golden tests/drivers)
in_root -m pytest -q -p no:cacheprovider -m unit -k "not flip and not issues_page" "${core[@]}"
