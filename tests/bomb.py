"""What an untrusted file may hold: an object that runs code when it is unpickled."""

from pathlib import Path


class Bomb:
    """Makes the file `mark` when it goes off."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)
