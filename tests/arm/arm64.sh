#!/bin/bash
# The core's tests on aarch64 under qemu user emulation: arm64.sh [ROOT]     (default: .cache/arm64)
# Needs root; apt install mmdebstrap qemu-user-static; pip of the environment in $PY. DEBIAN_MIRROR names a mirror.
# ROOT is made on the first run (Python of Debian 12, extracted only: no second stage) and used again later. Our
# package and its aarch64 wheels are put in from outside: a dependency without such a wheel fails here, as it should.
# Before them, a machine is made of the Debian package for aarch64: installed by its own scripts, its slot tested, started
# as far as that goes without a service manager. INSTALL_ONLY=1 ends there. What needs one: test_booted.py.
# 4 to 20 times slower than native: deadlines are stretched, nothing asserts a time.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
PY=${PY:-python3}
root=${1:-$project/.cache/arm64}

. "$here/emulator.sh"

if [ ! -e "$root/usr/bin/python3" ]; then
    mkdir -p "$(dirname "$root")"
    mmdebstrap --quiet --variant=extract --architectures=arm64 --include=python3,libpython3-stdlib,ca-certificates,tzdata \
        bookworm "$root" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}"
fi

# What a gateway may run, as the locks resolve it, for the target; the tests' own tools beside them.
site=$root/opt/site
stamp=$(cat "$project/setup.cfg" "$project/packaging/lock.py" | sha256sum | cut -c1-16)
if [ ! -e "$root/opt/site.$stamp" ]; then
    rm -rf "$site" "$root"/opt/site.*
    mapfile -t wanted < <(PYTHONPATH=$project/packaging "$PY" -c 'import lock; print("\n".join(lock.requirements()))')
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
core=(tests/unit/store tests/unit/kernel tests/unit/values tests/unit/runtime tests/unit/transform tests/unit/uplink)
in_root -m pytest -q -p no:cacheprovider -m unit -k "not flip and not issues_page" "${core[@]}"
# What makes numbers of bytes, and the bus: these folders have marks of their own, or none.
bytes=(tests/golden tests/drivers/sim tests/drivers/modbus/test_{values,bytes_of_registers,rows_of_bits}.py)
in_root -m pytest -q -p no:cacheprovider "${bytes[@]}"
