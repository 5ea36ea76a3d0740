#!/bin/sh
# Installs Fieldpost as a service on a gateway: a release in a slot of its own below /opt/fieldpost, user, units, rules.
#
#   sudo systemd/install.sh --bundle FILE.fpb        a signed release, without network; whose signatures count: --trust
#   sudo systemd/install.sh --wheelhouse DIR         all wheels are in DIR, without network
#   sudo systemd/install.sh                          from this folder, dependencies from the configured index
#   sudo systemd/install.sh --uninstall              takes it away; configuration and data stay
#   sudo systemd/install.sh --uninstall --purge      configuration, data and user too
#
#   --trust 1.root.json          whose releases this gateway takes, now and later (with `fieldpost ota install`);
#                                alone on a gateway that is installed: only that is set
#   --accept-stale-timestamp     a bundle whose timestamp has expired, as on a site that was dark for long
#   --dry-run                    says what it would do and changes nothing
#   --no-init                    no first configuration: this box is made of a backup (`fieldpost restore`)
#   --extras modbus,opcua        which drivers, without --bundle and --wheelhouse (default: modbus,uvloop)
#   --root DIR                   below DIR (an image); nothing is started
#
# Make a wheelhouse on a machine like the gateway:  python3 -m pip wheel --wheel-dir wheelhouse '.[modbus,uvloop,ota]'
#
# A release is chosen in one step, so that a cut of power leaves the old or the new one; where it fails soon after, the
# one before comes back by itself. What is there and right is not touched: running it again changes nothing.
set -eu
umask 022 # the gateway reads what root installs

bundle='' wheelhouse='' root='' extras='' trust='' stale='' dry='' init=yes remove='' purge=''
python=${PYTHON:-/usr/bin/python3}
here=$(cd "$(dirname "$0")" && pwd)

usage() { sed -n '4,16s/^# \{0,3\}//p' "$0"; exit 2; }
fail() { echo "install.sh: $*" >&2; exit 1; }
need() { [ $# -ge 2 ] || usage; }
while [ $# -gt 0 ]; do
    case $1 in
        --bundle) need "$@"; [ -f "$2" ] || fail "no file $2"; bundle=$2; shift 2 ;;
        --wheelhouse) need "$@"; wheelhouse=$(cd "$2" 2>/dev/null && pwd) || fail "no folder $2"; shift 2 ;;
        --root) need "$@"; [ -n "$2" ] || usage; root=$(realpath -m -- "$2"); shift 2 ;;
        --extras) need "$@"; extras=$2; shift 2 ;;
        --trust) need "$@"; [ -f "$2" ] || fail "no file $2"; trust=$2; shift 2 ;;
        --accept-stale-timestamp) stale=$1; shift ;;
        --dry-run) dry=$1; shift ;;
        --no-init) init=''; shift ;;
        --uninstall) remove=yes; shift ;;
        --purge) purge=yes; shift ;;
        *) usage ;;
    esac
done
[ -z "$purge" ] || [ -n "$remove" ] || fail "--purge belongs to --uninstall"
[ -z "$remove" ] || [ -z "$bundle$wheelhouse$extras$trust$stale" ] || fail "--uninstall installs nothing: it goes with --purge, --root and --dry-run"
[ -z "$bundle" ] || [ -z "$wheelhouse" ] || fail "either --bundle or --wheelhouse"
[ -n "$root" ] || [ "$(id -u)" = 0 ] || fail "run it as root"
[ -x "$python" ] || fail "missing: $python; install it with: apt install python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "needs Python 3.11 or newer"

# The links of an image are followed from its own root: an absolute one leads out of it here.
if [ -n "$root" ]; then
    for place in opt/fieldpost/releases opt/fieldpost/state usr/lib/fieldpost/slots usr/lib/sysusers.d usr/lib/tmpfiles.d \
        usr/share/fieldpost/tuf usr/share/man/man8 usr/local/bin etc/systemd/system/fieldpost.service.d \
        etc/systemd/system/multi-user.target.wants etc/udev/rules.d etc/dbus-1/system.d etc/fieldpost \
        var/lib/fieldpost var/lib/fieldpost-floor run; do
        led=$(realpath -m -- "$root/$place")
        case $led in
            "${root%/}"/*) ;;
            *) fail "$root/$place leads out of the image, to $led" ;;
        esac
    done
    [ -n "$dry$remove" ] || mkdir -p "$root"
fi

base=$root/opt/fieldpost
library=$root/usr/lib/fieldpost
live='' # a systemd to talk to
[ -n "$root" ] || [ ! -d /run/systemd/system ] || live=yes
changes=0 restart=''
told() { changes=$((changes + 1)); echo "${dry:+would: }$*"; }
run() { [ -n "$dry" ] || "$@"; }

put() { # MODE SOURCE PLACE: there and right, or put there in one step
    if [ -f "$3" ] && cmp -s "$2" "$3" && [ "$(stat -c %a "$3")" = "${1#0}" ]; then return 0; fi
    told "write $3"
    [ -z "$dry" ] || return 0
    mkdir -p "$(dirname "$3")"
    install -m "$1" "$2" "$3.new"
    mv -f "$3.new" "$3"
}
drop() { # what is there goes
    for place in "$@"; do
        if [ -L "$place" ] && [ -d "$place" ]; then
            told "remove the link $place; left: what is in $(realpath "$place")"
            run rm -f "$place"
        elif [ -e "$place" ] || [ -L "$place" ]; then
            told "remove $place"
            run rm -rf "$place"
        fi
    done
}
owned() { # is a system's package responsible for this?
    command -v dpkg-query >/dev/null && dpkg-query --root="${root:-/}" -W -f '${Status}' fieldpost 2>/dev/null | grep -q ' installed$'
}

command=$root/usr/local/bin/fieldpost
ours() { # is the command a link into our releases?
    case $(readlink "$command" 2>/dev/null || true) in
        /opt/fieldpost/*) ;;
        *) return 1 ;;
    esac
}
set_trust() { # whose releases count: FILE was proven by now
    [ -z "$trust" ] || put 0644 "$trust" "$root/usr/share/fieldpost/tuf/root.json"
}
first_install() { "$python" -I -S "$here/first-install" "$@" --place "${root:-/}" ${trust:+--trust "$trust"} $stale $dry; }

uninstall() {
    if [ -n "$live" ] && [ -e /etc/systemd/system/fieldpost.service ]; then
        told "stop and disable the service"
        run systemctl --quiet disable --now fieldpost.service fieldpost-update.path fieldpost-confirm.path \
            fieldpost-trial.path fieldpost-trial.timer 2>/dev/null || true
        run systemctl stop 'fieldpost*' || fail "the service does not stop"
    fi
    drop "$root"/etc/systemd/system/fieldpost*.service "$root"/etc/systemd/system/fieldpost*.path \
        "$root"/etc/systemd/system/fieldpost*.timer "$root/etc/systemd/system/fieldpost.service.d/backoff.conf" \
        "$root/etc/systemd/system/multi-user.target.wants/fieldpost.service" \
        "$root/etc/udev/rules.d/61-fieldpost.rules" "$root/etc/dbus-1/system.d/fieldpost.conf" \
        "$root/usr/lib/sysusers.d/fieldpost.conf" "$root/usr/lib/tmpfiles.d/fieldpost.conf" \
        "$root/usr/share/man/man8/fieldpost.8" "$root/usr/share/fieldpost" \
        "$library" "$base" "$root/run/fieldpost-slot"
    if ours; then drop "$command"; fi
    if [ -n "$purge" ]; then
        drop "$root/etc/fieldpost" "$root/var/lib/fieldpost" "$root/var/lib/fieldpost-floor" \
            "$root/etc/systemd/system/fieldpost.service.d"
        if [ -z "$root" ] && getent passwd fieldpost >/dev/null; then told "remove the user fieldpost"; run userdel fieldpost; fi
    fi
    if [ -n "$live" ] && [ "$changes" != 0 ]; then run systemctl daemon-reload; fi
    [ "$changes" != 0 ] || echo "nothing to remove"
    [ -n "$purge" ] || echo "kept: $root/etc/fieldpost, $root/var/lib/fieldpost, $root/var/lib/fieldpost-floor (--purge removes them)"
}

if [ -n "$trust" ] && [ -z "$bundle$wheelhouse$extras" ] && [ -L "$base/current" ]; then
    first_install >/dev/null || fail "the root file is not taken; whose releases count is as before"
    set_trust
    [ "$changes" != 0 ] || echo "nothing to do"
    exit 0
fi
if owned; then fail "this system has the package fieldpost: use apt install, apt remove or apt purge"; fi
if [ -n "$remove" ]; then uninstall; exit 0; fi

# Half states are refused before anything is written.
[ -z "$live" ] || [ "$(systemctl is-enabled fieldpost.service 2>/dev/null || true)" != masked ] ||
    fail "fieldpost.service is masked: systemctl unmask fieldpost"
for unit in "$here"/fieldpost*.service "$here"/fieldpost*.path "$here"/fieldpost*.timer; do
    unit=$root/etc/systemd/system/$(basename "$unit")
    [ "$(readlink "$unit" 2>/dev/null || true)" != /dev/null ] || fail "$unit is a mask (a link to /dev/null): remove it first"
done
if [ -e "$command" ] || [ -L "$command" ]; then
    ours || fail "$command is in the way: it is not of this installer, move it away"
fi
if [ -n "$init" ] && [ ! -e "$root/etc/fieldpost/gateway.yaml" ] &&
    [ -n "$(find "$root/etc/fieldpost" -type f 2>/dev/null | head -n 1)" ]; then
    fail "$root/etc/fieldpost has files but no gateway.yaml: complete it, or move it away"
fi
for place in "$base" "$base/releases" "$root/etc/fieldpost" "$root/var/lib/fieldpost"; do
    [ ! -e "$place" ] || [ -d "$place" ] || fail "$place is in the way: it is no folder"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "$bundle$wheelhouse" ]; then
    "$python" -c 'import ensurepip' 2>/dev/null || fail "missing: venv; install it with: apt install python3-venv"
    echo "making wheels of $(dirname "$here")"
    "$python" -m venv "$work/venv"
    sources=$(cd "$here/.." && find gateway drivers rules setup.cfg pyproject.toml -type f -printf '%T@\n' | sort -n | tail -n 1)
    SOURCE_DATE_EPOCH=${sources%.*} "$work/venv/bin/python" -m pip wheel --quiet --disable-pip-version-check \
        --wheel-dir "$work/wheels" "$here/..[${extras:-modbus,uvloop},ota]" || fail "the wheels cannot be made; without network: --wheelhouse"
    wheelhouse=$work/wheels
fi

# What chooses among releases, first: it takes the release below.
for file in slotctl slot-exec first-install; do put 0755 "$here/$file" "$library/$file"; done
for file in "$here"/slots/*.py; do put 0644 "$file" "$library/slots/$(basename "$file")"; done
for unit in "$here"/fieldpost*.service "$here"/fieldpost*.path "$here"/fieldpost*.timer; do
    put 0644 "$unit" "$root/etc/systemd/system/$(basename "$unit")"
done
systemd_version=$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
if [ "${systemd_version:-0}" -ge 254 ]; then
    put 0644 "$here/backoff.conf" "$root/etc/systemd/system/fieldpost.service.d/backoff.conf"
fi
put 0644 "$here/sysusers.conf" "$root/usr/lib/sysusers.d/fieldpost.conf"
put 0644 "$here/tmpfiles.conf" "$root/usr/lib/tmpfiles.d/fieldpost.conf"
put 0644 "$here/udev.rules" "$root/etc/udev/rules.d/61-fieldpost.rules"
put 0644 "$here/dbus.conf" "$root/etc/dbus-1/system.d/fieldpost.conf"
put 0644 "$here/fieldpost.8" "$root/usr/share/man/man8/fieldpost.8"
if [ "$changes" != 0 ]; then
    restart=yes
    [ -n "$dry" ] || "$python" -m compileall -q "$library/slots"
fi
if [ -n "$live" ] && [ "$changes" != 0 ] && [ -z "$dry" ]; then
    systemd-sysusers /usr/lib/sysusers.d/fieldpost.conf
    systemd-tmpfiles --create /usr/lib/tmpfiles.d/fieldpost.conf
    systemctl daemon-reload
    systemctl --quiet reload dbus.service 2>/dev/null || true # no bus, no Bluetooth
    udevadm control --reload 2>/dev/null || true
    # serial adapters that are plugged in already get what the rules say, too
    udevadm trigger --subsystem-match=usb-serial 2>/dev/null || true
    udevadm trigger --subsystem-match=tty --property-match=ID_BUS=usb 2>/dev/null || true
fi

# Of an image: whose they are is said at its first boot (tmpfiles.conf).
if [ -z "$live" ] && [ -z "$dry" ]; then mkdir -p -m 0750 "$root/etc/fieldpost" "$root/var/lib/fieldpost"; fi

if [ -n "$bundle" ]; then set -- --bundle "$bundle"; else set -- --wheels "$wheelhouse"; fi
said=$(first_install "$@") ||
    fail "the release is not installed; what ran before runs on"
case $said in
    changed*) told "install release ${said#changed }"; restart=yes ;;
esac
set_trust # only now: a root file that proved nothing must not end all updates

if [ "$(readlink "$command" 2>/dev/null || true)" != /opt/fieldpost/current/venv/bin/fieldpost ]; then
    told "link $command"
    run mkdir -p "$(dirname "$command")"
    run ln -sfn /opt/fieldpost/current/venv/bin/fieldpost "$command"
fi
if [ -n "$root" ] || [ -z "$live" ]; then
    [ "$changes" != 0 ] || echo "nothing to do"
    [ -n "$dry" ] || echo "installed below ${root:-/}; users and folders are made at the first boot"
    exit 0
fi

if [ -n "$init" ] && [ ! -e /etc/fieldpost/gateway.yaml ]; then
    told "write a first configuration to /etc/fieldpost"
    if [ -z "$dry" ]; then
        /opt/fieldpost/current/venv/bin/fieldpost init /etc/fieldpost --state /var/lib/fieldpost >/dev/null
        chown -R root:fieldpost /etc/fieldpost
        chmod -R g=u,g-w,o= /etc/fieldpost
    fi
fi
if [ "$changes" = 0 ]; then
    echo "nothing to do: ${said#* } is installed"
elif systemctl is-active --quiet fieldpost; then
    if [ -n "$restart" ]; then
        told "restart the gateway"
        run systemctl restart fieldpost || fail "it does not start: journalctl -u fieldpost"
        # The release before this one is kept, to go back to: fieldpost ota rollback
        [ -n "$dry" ] || "$python" -I -S "$library/slotctl" gc
    fi
    echo "see: fieldpost status"
else
    echo "next: edit /etc/fieldpost, then: fieldpost check --config /etc/fieldpost && systemctl enable --now fieldpost"
fi
