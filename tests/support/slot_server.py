"""Runs slotctl over and over, each time in a fork of a fresh, single-threaded Python: `slot_server.py SYSTEMD_FOLDER`,
or the updater: `slot_server.py - PROJECT`.

One JSON object per line in (words, asked, env), one out (status, output). A fork can be killed like the process it is,
and costs none of the interpreter's start.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, sys.argv[-1])

if sys.argv[1] == "-":
    from gateway.ota.apply import run
    from gateway.ota.places import Places

    def main(words: list[str]) -> int:
        return run(Places(Path(words[1])))
else:
    from slots.commands import main


def _run(request: dict, output: Path) -> int:
    child = os.fork()
    if child == 0:
        reading, writing = os.pipe()
        os.write(writing, request["asked"].encode())
        os.close(writing)
        os.dup2(reading, 0)
        out = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.environ.update(request["env"])
        code = 99
        try:
            code = main(request["words"])
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


with tempfile.TemporaryDirectory() as folder:
    output = Path(folder) / "output"
    for line in sys.stdin:
        status = _run(json.loads(line), output)
        print(json.dumps({"status": status, "output": output.read_text()}), flush=True)
