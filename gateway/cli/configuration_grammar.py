"""The grammar of the commands that show, make, change, keep and carry over configurations."""

from __future__ import annotations

from gateway.cli.argtypes import Add, duration, duration_between, positive

_A_LISTEN = duration_between("1s", "300s")


def add_configuration(add: Add) -> None:
    """Those of the configuration folder and its generations."""
    init = add("init", "init", "write a first configuration folder")
    init.add_argument("folder", nargs="?", help="where (default: --config, else ./config)")
    init.add_argument("--id", metavar="NAME", help="the gateway's id (default: this machine's name)")
    init.add_argument("--modbus", metavar="HOST[:PORT]", help="the first Modbus TCP device")
    check = add("check", "configuration", "check a configuration folder; needs no running gateway")
    check.add_argument("folder", nargs="?", help="the folder (default: --config and its default)")
    add("plan", "configuration", "show what applying the configuration folder would change")
    apply = add("apply", "configuration", "make the configuration folder the running configuration")
    apply.add_argument(
        "--confirm-within",
        type=duration,
        metavar="TIME",
        help="go back by itself unless `fieldpost confirm` comes in this time, for example 2m",
    )
    add("confirm", "configuration", "keep the configuration that waits for it")
    rollback = add("rollback", "configuration", "go back to the configuration before")
    rollback.add_argument("--to", type=int, metavar="GENERATION", help="go back to this one")
    add("generations", "configuration", "list the configurations that are kept")


def add_device(add: Add) -> None:
    """`add`."""
    device = add("add", "add", "add a device to the configuration: shows the change, writes it with --write")
    device.add_argument("protocol", choices=("modbus", "ble", "mqtt", "opcua", "system"), help="what is spoken there")
    where = "a channel, host, url or serial port; ble: the device's address; system: nothing"
    device.add_argument("target", nargs="?", metavar="CHANNEL|URL|HOST|PORT|ADDRESS", help=where)
    device.add_argument("--unit", type=positive, metavar="ID", help="modbus: unit id (1)")
    device.add_argument("--name", metavar="NAME", help="id of the device (unit1, or made of its name, topic, address)")
    device.add_argument("--topic", metavar="TOPIC", help="mqtt: where its values come from")
    device.add_argument("--for", dest="lasting", type=_A_LISTEN, metavar="TIME", help="mqtt, ble: listen so long")
    device.add_argument("--profile", metavar="NAME", help="its profile: of the configuration, or of the library")
    device.add_argument("--channel", metavar="NAME", help="id of a new channel")
    device.add_argument("--line", metavar="LINE", help="of a serial port, for example 9600-8E1")
    device.add_argument("--interval", metavar="TIME", help="of a new channel (1s)")
    device.add_argument("--write", action="store_true", help="write the change")


def add_lists(add: Add) -> None:
    """`export` and `import`."""
    export = add("export", "taglist", "print the tags of the configuration as a list for spreadsheets (CSV)")
    export.add_argument("device", nargs="*", metavar="DEVICE", help="only these (default: all)")
    export.add_argument("--server", metavar="NAME", help="where a running server offers its tags: registers, node ids")
    export.add_argument("--output", "-o", metavar="FILE", help="write it there")
    import_ = add("import", "importing", "show what files of other gateways or a tag list become; --write writes it")
    import_.add_argument(
        "file", nargs="+", metavar="FILE", help="files, or folders of them; what they are is seen in them"
    )
    import_.add_argument("--dry-run", action="store_true", help="write nothing (the default)")
    import_.add_argument(
        "--write",
        nargs="?",
        const=True,
        metavar="DIR",
        help="write it, into this folder (default: the configuration's)",
    )
    import_.add_argument("--replace", action="store_true", help="write over files that hold something else")
    import_.add_argument(
        "--partial", action="store_true", help="what is right, without what is wrong; exit 1 then, too"
    )
    import_.add_argument("--strict", action="store_true", help="what is only noted else is an error")
    import_.add_argument("--prune", action="store_true", help="a list of our own: remove tags that it leaves out")
    import_.add_argument("--strict-edgex", action="store_true", help="transforms exactly as EdgeX computes them")
    import_.add_argument("--interval", metavar="TIME", help="of devices without a schedule, for example 10s")
    import_.add_argument("--node", metavar="NAME", help="KubeEdge: devices of this node only")
    import_.add_argument("--seed-shadow", action="store_true", help="KubeEdge: twins become wanted values")
    import_.add_argument("--channel", metavar="ID", help="lists without a connection: the channel to make")
    import_.add_argument("--device", metavar="ID", help="lists without a connection: the device to make")
    import_.add_argument("--url", metavar="URL", help="lists without a connection: where the device is")
    import_.add_argument("--unit", type=int, metavar="N", help="Kepware, SunSpec: unit id of the device (1)")
    import_.add_argument("--zero-based", action="store_true", help="Kepware, Neuron: addresses count from 0")
    orders = ("ABCD", "BADC", "CDAB", "DCBA")
    import_.add_argument("--word-order", choices=orders, help="of lists that do not say how registers lie")
    import_.add_argument("--repeat", type=positive, metavar="N", help="SunSpec: how often counted groups are there (1)")


def add_backup(add: Add) -> None:
    """`backup` and `restore`."""
    backup = add("backup", "backup", "write identity, configuration, shadows and alarms into one file")
    restore = add("restore", "backup", "make a new box of a backup; --config and --state must be empty folders")
    for command in (backup, restore):
        command.add_argument("file", metavar="FILE", help="the backup")
        command.add_argument("--password-file", metavar="FILE", help="file that holds the password of the backup")
    backup.add_argument("--open", action="store_true", help="without encryption; whoever has it has the secrets")
