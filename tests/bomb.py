"""What an untrusted file may contain: an object that runs code when unpickled."""

from pathlib import Path


class Bomb:
    """Creates the file `mark` when it goes off."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)
