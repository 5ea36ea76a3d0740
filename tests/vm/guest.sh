#!/bin/bash
# Process 1 of the guest: a system bus, real bluetoothd on the kernel's virtual controller, a device on the same virtual
# radio (peripheral.py), and the gateway (inside.py). /mnt/out/settings gives PY and HERE.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root PYTHONDONTWRITEBYTECODE=1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
mount -t tmpfs tmpfs /tmp
mkdir -p /run/dbus /var/lib/bluetooth /var/lib/dbus
ip link set lo up
. /mnt/out/settings
say() { echo "guest $(cut -d' ' -f1 /proc/uptime) s: $*"; }
trap 'sync; echo o >/proc/sysrq-trigger; sleep 10' EXIT
say up

modprobe hci_vhci
dbus-uuidgen --ensure
dbus-daemon --system --nofork --nopidfile &
for _ in $(seq 100); do [ -S /run/dbus/system_bus_socket ] && break; sleep 0.1; done
"$PY" "$HERE/peripheral.py" &
for _ in $(seq 120); do [ -d /sys/class/bluetooth/hci0 ] && break; sleep 0.5; done
say "controller $(ls /sys/class/bluetooth)"
start_bluetoothd() { /usr/libexec/bluetooth/bluetoothd -n -E 2>&1 & echo $! >/run/bluetoothd.pid; }
start_bluetoothd
for _ in $(seq 40); do
    timeout 10 bluetoothctl power on 2>&1 | grep -q succeeded && break
    sleep 0.5
done
say "bluetoothd $(/usr/libexec/bluetooth/bluetoothd --version)"
cd "$HERE/../.." || exit
timeout 240 "$PY" -m tests.vm.inside 2>&1
say "gateway status $?"
