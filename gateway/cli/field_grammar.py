"""The grammar of the commands at the wire: what is on it, and a device that is simulated."""

from __future__ import annotations

from gateway.cli.argtypes import Add, duration, duration_between, port, positive, units

_A_DAY = duration_between("1ms", "1d")
_A_LISTEN = duration_between("1s", "300s")
_SCAN_TIMEOUT = duration_between("10ms", "10s")


def add_field(add: Add) -> None:
    """`trace` and `scan`."""
    trace = add("trace", "field", "show the frames on a device's wire, in hexadecimal and in words")
    trace.add_argument("name", metavar="DEVICE", help="a device, or a channel for all of its frames")
    trace.add_argument(
        "--for", dest="lasting", type=_A_DAY, default=60.0, metavar="TIME", help="end after it, 1d at most (60s)"
    )
    scan = add("scan", "field", "look for devices: units on a wire, radios, topics of a broker, what a server offers")
    scan.add_argument("protocol", choices=("modbus", "ble", "mqtt", "opcua"), help="what is spoken there")
    scan.add_argument("target", nargs="?", metavar="CHANNEL|URL|HOST|PORT", help="a channel, host, url or port")
    scan.add_argument("--units", metavar="IDS", help="unit ids, for example 1-10,255 (1-247 on a serial line)")
    scan.add_argument("--ranges", action="append", metavar="RANGE", help="what to try, for example holding/0-999")
    scan.add_argument("--line", metavar="LINE", help="of a serial port, for example 9600-8E1")
    scan.add_argument("--draft", metavar="NAME", help="make a device NAME of what was found, with a draft of a profile")
    scan.add_argument("--write", action="store_true", help="with --draft: write it into the configuration")
    scan.add_argument("--for", dest="lasting", type=_A_LISTEN, metavar="TIME", help="ble, mqtt: listen so long (10s)")
    scan.add_argument("--topic", metavar="FILTER", help="mqtt: topics, with + and # (#)")
    scan.add_argument("--most", type=positive, metavar="N", help="mqtt: topics that are shown (1000)")
    scan.add_argument("--filter", metavar="TEXT", help="ble: what name or address contain")
    scan.add_argument("--rssi", type=int, metavar="DBM", help="ble: the least strength, for example -80")
    scan.add_argument("--timeout", type=_SCAN_TIMEOUT, metavar="TIME", help="of each request, 10ms to 10s (300ms)")


def add_simulate(add: Add) -> None:
    """`simulate`."""
    simulate = add("simulate", "simulate", "serve a profile as a device, with faults that can be switched")
    simulate.add_argument("profile", metavar="PROFILE", help="of the configuration or the library, or a .yaml file")
    simulate.add_argument("--driver", default="modbus", metavar="NAME", help="whose simulator (modbus)")
    simulate.add_argument("--name", metavar="NAME", help="which profile of a file with several")
    simulate.add_argument("--unit", type=units, default=(1, 1), metavar="IDS", help="unit ids, for example 1 or 1-30")
    simulate.add_argument("--param", action="append", metavar="NAME=VALUE", help="a parameter of the profile")
    simulate.add_argument("--host", metavar="HOST", help="where to listen (127.0.0.1)")
    simulate.add_argument("--port", type=port, metavar="PORT", help="TCP port (a free one)")
    simulate.add_argument("--rtu", action="store_true", help="RTU frames over TCP")
    simulate.add_argument("--pty", nargs="?", const="", metavar="LINK", help="a serial line without hardware")
    simulate.add_argument("--line", metavar="LINE", help="take as long as on this serial line, for example 9600-8E1")
    simulate.add_argument("--response", type=duration, metavar="TIME", help="what the device needs for an answer")
    simulate.add_argument("--static", action="store_true", help="values do not move")
    simulate.add_argument("--set", action="append", metavar="TAG=VALUE", help="a value that stays")
    simulate.add_argument("--fault", action="append", metavar="WORDS", help='for example "slow 450ms every 3"')
    simulate.add_argument("--control", metavar="PATH", help="a socket that takes the same words as the keyboard")
