#!/bin/sh
# Installs Fieldpost as a service on a gateway: a virtual environment of its own below /opt/fieldpost, user, unit.
#
#   sudo systemd/install.sh                          from this folder, dependencies from the configured index
#   sudo systemd/install.sh --wheelhouse DIR         without network: all wheels are in DIR
#   sudo systemd/install.sh --root DIR               below DIR (an image); nothing is started
#   sudo systemd/install.sh --extras modbus,ota      which drivers, and updates (default: modbus,uvloop,ota)
#   sudo systemd/install.sh --trust 1.root.json      whose releases `fieldpost ota install` takes
#
# Make a wheelhouse on a machine like the gateway:  python3 -m pip wheel --wheel-dir wheelhouse '.[modbus,uvloop,ota]'
#
# A new release goes into a slot of its own and is chosen in one step, so that a cut of power leaves the old or the new
# one; where it fails soon after, the one before comes back by itself. An existing configuration is never touched.
# Running it again is harmless.
set -eu
umask 022  # the gateway reads what root installs

wheelhouse='' root='' extras='modbus,uvloop,ota' trust='' python=${PYTHON:-python3}
here=$(cd "$(dirname "$0")" && pwd)

usage() { sed -n '4,8s/^# \{0,3\}//p' "$0"; exit 2; }
fail() { echo "install.sh: $*" >&2; exit 1; }
while [ $# -gt 0 ]; do
    case $1 in
        --wheelhouse) [ $# -ge 2 ] || usage; wheelhouse=$(cd "$2" && pwd) || fail "no folder $2"; shift 2 ;;
        --root) [ $# -ge 2 ] || usage; mkdir -p "$2"; root=$(cd "$2" && pwd); shift 2 ;;
        --extras) [ $# -ge 2 ] || usage; extras=$2; shift 2 ;;
        --trust) [ $# -ge 2 ] || usage; [ -f "$2" ] || fail "no file $2"; trust=$2; shift 2 ;;
        *) usage ;;
    esac
done

[ -n "$root" ] || [ "$(id -u)" = 0 ] || fail "run it as root"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "needs Python 3.11 or newer"
"$python" -c 'import ensurepip' 2>/dev/null || fail "missing: venv; install it with: apt install python3-venv"

base=/opt/fieldpost
library=/usr/lib/fieldpost
slot=local-$(date -u +%Y%m%d%H%M%S)-$$
release=$root$base/releases/$slot/venv
trap 'rm -rf "$root$base/releases/$slot"' EXIT

echo "installing into $release"
mkdir -p "$root$base/releases"
"$python" -m venv "$release"
if [ -n "$wheelhouse" ]; then
    "$release/bin/python" -m pip install --quiet --disable-pip-version-check --no-index \
        --find-links "$wheelhouse" "fieldpost[$extras]"
else
    "$release/bin/python" -m pip install --quiet --disable-pip-version-check "$here/..[$extras]"
fi
"$release/bin/python" -m gateway.cli version >/dev/null || fail "the new release does not start"
if [ -n "$root" ]; then # scripts name their interpreter as the booted image will see it
    find "$release/bin" -type f -exec sed -i "1s|^#!$root/|#!/|" {} +
fi
install -d "$root$library/slots"
install -m 0755 "$here/slotctl" "$here/slot-exec" "$root$library/"
install -m 0644 "$here"/slots/*.py "$root$library/slots/"
"$python" -m compileall -q "$root$library/slots"
slotctl() { "$python" -I -S "$root$library/slotctl" --root "$root/" "$@"; }
slotctl seal "$slot" || fail "the new release cannot be written to disk"
slotctl adopt "$slot" || fail "the new release is not what was written"
trap - EXIT

mkdir -p "$root$base/share/doc" "$root/usr/local/bin"
install -m 0644 "$here/../README.md" "$root$base/share/doc/README.md"
ln -sfn "$base/current/venv/bin/fieldpost" "$root/usr/local/bin/fieldpost"

for unit in "$here"/fieldpost*.service "$here"/fieldpost*.path "$here"/fieldpost*.timer; do
    install -D -m 0644 "$unit" "$root/etc/systemd/system/$(basename "$unit")"
done
systemd_version=$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
if [ "${systemd_version:-0}" -ge 254 ]; then
    install -D -m 0644 "$here/backoff.conf" "$root/etc/systemd/system/fieldpost.service.d/backoff.conf"
fi
install -D -m 0644 "$here/sysusers.conf" "$root/usr/lib/sysusers.d/fieldpost.conf"
install -D -m 0644 "$here/tmpfiles.conf" "$root/usr/lib/tmpfiles.d/fieldpost.conf"

[ -z "$trust" ] || install -D -m 0644 "$trust" "$root/usr/share/fieldpost/tuf/root.json"

if [ -n "$root" ]; then
    echo "installed below $root; users and folders are made at the first boot"
    exit 0
fi

systemd-sysusers /usr/lib/sysusers.d/fieldpost.conf
systemd-tmpfiles --create /usr/lib/tmpfiles.d/fieldpost.conf
if [ ! -e /etc/fieldpost/gateway.yaml ]; then
    "$base/current/venv/bin/fieldpost" init /etc/fieldpost --state /var/lib/fieldpost >/dev/null
    chown -R root:fieldpost /etc/fieldpost
    chmod -R g=u,g-w,o= /etc/fieldpost
fi
systemctl daemon-reload
if systemctl is-active --quiet fieldpost; then
    systemctl restart fieldpost
    # The release before this one is kept, to go back to: fieldpost ota rollback
    slotctl gc
    echo "restarted; see: fieldpost status"
else
    echo "next: edit /etc/fieldpost, then: fieldpost check && systemctl enable --now fieldpost"
fi
