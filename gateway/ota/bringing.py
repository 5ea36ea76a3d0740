"""One signed file from a repository, whole and as it was signed. Other bytes are a fault of whoever brought them."""

from __future__ import annotations

from pathlib import Path

from tuf.api.metadata import TargetFile

from gateway.ota.download import Progress
from gateway.ota.release import ReleaseRefused
from gateway.ota.sources import Files
from gateway.ota.trust import prove


class WrongContent(ReleaseRefused):
    """A file of the right size came from its beginning to its end, and is another one than was signed."""

    def __init__(self, file: str, text: str) -> None:
        super().__init__("hash", text)
        self.file = file


def bring(files: Files, name: str, info: TargetFile, place: Path, progress: Progress) -> None:
    """Have it in `place`. What was there, or a part of it, is used where it fits, and else fetched anew.

    Raises WrongContent, and ReleaseRefused: `missing`; `link` also where what comes has not even its size, as the login
    page of a network. What is wrong is gone then.
    """
    part = place.with_name(f"{place.name}.part")
    while True:
        from_before = place.exists() or (part.exists() and part.stat().st_size > 0)
        if not place.exists():
            try:
                files.take(name, place, info.length, progress, least=info.length)
            except ReleaseRefused as error:
                if error.reason != "length":
                    raise
                part.unlink(missing_ok=True)
                told = f"{error}: somebody else than the repository answers (a login page, a proxy), or it was cut"
                raise ReleaseRefused("link", told) from None
        try:
            prove(info, place)
        except ReleaseRefused as error:
            place.unlink(missing_ok=True)
            if not from_before:
                raise WrongContent(info.path, str(error)) from None
        else:
            return
