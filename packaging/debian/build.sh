#!/bin/bash
# One Debian package: build.sh OUT [MACHINE [PYTHON]]     (default: this machine, 3.11; aarch64 can be built elsewhere)
# Needs dpkg-deb and gzip, no root; the wheels of packaging/locks are fetched here, so that nothing is at installation.
# WHEELS: a folder of wheels instead. FIELDPOST_ROOT_JSON: whose updates gateways with this package take (1.root.json).
# MAINTAINER: name and address of who answers for it. The same wheels give the same package.
set -euo pipefail
umask 022
here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
out=${1:?usage: build.sh OUT [MACHINE [PYTHON]]}
machine=${2:-$(uname -m)}
python=${3:-3.11}
PY=${PY:-python3}
MAINTAINER=${MAINTAINER:-Fieldpost packagers <packages@fieldpost.example>}
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1795305600}
case $machine in
    x86_64) architecture=amd64 ;;
    aarch64) architecture=arm64 ;;
    *) echo "build.sh: no Debian architecture for $machine" >&2; exit 1 ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
put() { install -D -m "$1" "$2" "$tree/$3"; }

pip() { "$PY" -m pip --disable-pip-version-check --quiet "$@" >&2; }
if [ -z "${WHEELS:-}" ]; then
    WHEELS=$work/wheels
    platforms=()
    for glibc in _2_28 _2_17 2014; do platforms+=(--platform "manylinux${glibc}_$machine"); done
    pip download --no-deps --require-hashes --only-binary=:all: --python-version "$python" --implementation cp \
        "${platforms[@]}" --dest "$WHEELS" -r "$project/packaging/locks/linux_$machine-cp${python/./}.txt"
    pip wheel --no-deps --wheel-dir "$WHEELS" "$project"
fi
mkdir -p "$tree/usr/share/fieldpost"
release=$tree/usr/share/fieldpost/release
(cd "$project" && "$PY" -m gateway.cli bundle build "$(realpath "$WHEELS")" -o "$release" --platform "linux_$machine" \
    --python "cp${python/./}" | sed '/^next: /d' >&2) # what it says to do next is for a folder that is gone
version=$("$PY" -c 'import json, sys; print(json.load(open(sys.argv[1]))["version"])' "$release/release.json")

systemd=$project/systemd
for program in slotctl slot-exec first-install; do put 0755 "$systemd/$program" "usr/lib/fieldpost/$program"; done
for file in "$systemd"/slots/*.py; do put 0644 "$file" "usr/lib/fieldpost/slots/$(basename "$file")"; done
for unit in "$systemd"/fieldpost*.service "$systemd"/fieldpost*.path "$systemd"/fieldpost*.timer; do
    put 0644 "$unit" "lib/systemd/system/$(basename "$unit")"
done
put 0644 "$systemd/sysusers.conf" usr/lib/sysusers.d/fieldpost.conf
put 0644 "$systemd/tmpfiles.conf" usr/lib/tmpfiles.d/fieldpost.conf
put 0644 "$systemd/udev.rules" lib/udev/rules.d/61-fieldpost.rules
put 0644 "$systemd/dbus.conf" usr/share/dbus-1/system.d/fieldpost.conf
put 0755 "$here/fieldpost" usr/bin/fieldpost
[ -z "${FIELDPOST_ROOT_JSON:-}" ] || put 0644 "$FIELDPOST_ROOT_JSON" usr/share/fieldpost/tuf/root.json
put 0644 "$here/copyright" usr/share/doc/fieldpost/copyright
put 0644 "$here/lintian-overrides" usr/share/lintian/overrides/fieldpost
put 0644 "$project/systemd/fieldpost.8" usr/share/man/man8/fieldpost.8
gzip -9n "$tree/usr/share/man/man8/fieldpost.8"
{
    echo "fieldpost ($version) stable; urgency=medium"
    echo
    echo "  * Release $version; what users notice is in CHANGELOG.md."
    echo
    echo " -- $MAINTAINER  $(date -u -R -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n >"$work/changelog.gz"
put 0644 "$work/changelog.gz" usr/share/doc/fieldpost/changelog.gz
put 0644 "$project/CHANGELOG.md" usr/share/doc/fieldpost/CHANGELOG.md
gzip -9n "$tree/usr/share/doc/fieldpost/CHANGELOG.md"

mkdir "$tree/DEBIAN"
size=$(du -sk --apparent-size --exclude=DEBIAN "$tree" | cut -f1)
sed -e "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@SIZE@/$size/" \
    -e "s/@PYTHON@/$python/; s/@NEXT@/3.$((${python#3.} + 1))/; s/@MAINTAINER@/$MAINTAINER/" "$here/control.in" >"$tree/DEBIAN/control"
(cd "$tree" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum) >"$work/md5sums"
install -m 0644 "$work/md5sums" "$tree/DEBIAN/md5sums"
for script in preinst postinst prerm postrm; do install -m 0755 "$here/$script" "$tree/DEBIAN/$script"; done

mkdir -p "$out"
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz -z1 --build "$tree" "$out/fieldpost_${version}_$architecture.deb" >&2
echo "$out/fieldpost_${version}_$architecture.deb"
