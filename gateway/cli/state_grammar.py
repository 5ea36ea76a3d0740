"""The grammar of the commands that tell how the gateway is, what it did, and what it delivered."""

from __future__ import annotations

from gateway.cli.argtypes import Add, duration, positive

_JOURNAL_STREAMS = ("alarm", "event", "log", "telemetry")


def add_state(add: Add) -> None:
    """From `status` to `audit`."""
    status = add("status", "state", "show whether all is well, and what is not")
    status.add_argument("--ready", action="store_true", help="exit 1 unless the gateway is ready (for health checks)")
    devices = add("devices", "state", "show devices, their states and statistics")
    devices.add_argument("device", nargs="?", metavar="DEVICE", help="only this one, with its commands and methods")
    reads = add("reads", "state", "show the read plan: which requests bring which tags, and their time on the wire")
    reads.add_argument("device", nargs="?", metavar="DEVICE", help="only this one")
    reads.add_argument("--forget", action="store_true", help="drop what was learned, and ask everything again")
    journal = add("journal", "state", "show the journal's streams and gaps, and its latest entries")
    journal.add_argument("--stream", choices=_JOURNAL_STREAMS, help="list entries of this stream")
    journal.add_argument("--since", type=duration, metavar="TIME", help="not older than this, for example 1h")
    journal.add_argument("--limit", type=positive, metavar="N", help="at most so many entries (20)")
    journal.add_argument("--format", choices=("edgex",), help="readings as events of EdgeX, one JSON object a line")
    journal.add_argument("--quality", choices=("good", "all"), help="with --format: good readings only (good), or all")
    journal.add_argument("--output", "-o", metavar="FILE", help="with --format: write it there")
    add("jobs", "jobs", "show what the fleet's owner wants of this gateway, and what became of it")
    audit = add("audit", "audit", "show who changed what; --verify proves that no entry was changed or removed")
    audit.add_argument("--since", type=duration, metavar="TIME", help="not older than this, for example 1h")
    audit.add_argument("--who", metavar="NAME", help="only of this person or program")
    audit.add_argument("--device", metavar="ID", help="only of this device")
    audit.add_argument("--limit", type=positive, default=20, metavar="N", help="at most so many entries (20)")
    audit.add_argument("--verify", action="store_true", help="recompute the chain; exit 1 when it is broken")
    audit.add_argument("--file", metavar="FILE", help="with --verify: of JSON lines, not of the running gateway")


def add_delivery(add: Add) -> None:
    """`uplink` and `proof`."""
    uplink = add("uplink", "state", "show uplinks, or forget one that will not come back")
    uplink.add_argument("action", nargs="?", choices=("forget",), help="forget: drop its cursor and its backlog")
    uplink.add_argument("name", nargs="?", metavar="NAME", help="which one")
    proof = add("proof", "proof", "read from the broker and prove that nothing is missing")
    proof.add_argument("--url", help="broker (default: the first uplink of the configuration)")
    proof.add_argument("--tenant", metavar="ID", help="tenant (default: of the configuration)")
    proof.add_argument("--gateway", metavar="ID", help="gateway (default: of the configuration)")
    proof.add_argument(
        "--for", dest="lasting", type=duration, default=10.0, metavar="TIME", help="listen so long (10s)"
    )
    proof.add_argument(
        "--from-first", action="store_true", help="leave out of account what came before the first number"
    )
    proof.add_argument("--ca", metavar="FILE", help="certificate authority for mqtts and wss (default: of the uplink)")
    proof.add_argument("--username", metavar="NAME", help="user name at the broker")
    proof.add_argument("--password-file", metavar="FILE", help="file that holds the password")
