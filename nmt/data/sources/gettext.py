"""Message catalogues of programs (GNU gettext): the messages, mostly English, and their translations."""

import os
from collections.abc import Iterator
from pathlib import Path

from nmt.config.data import DataConfig
from nmt.config.languages import language_code
from nmt.data.catalogues import read_catalogue
from nmt.data.messages import sentence_pair
from nmt.data.sources.source import DataSource, RawPair
from nmt.errors import ConfigError, DataError

_FOLDER, _SUFFIXES = "LC_MESSAGES", (".mo", ".po")


class GettextSource(DataSource):
    """A folder with catalogues of `data.language` in it or below, `<language>/LC_MESSAGES/*.mo` and `.po`, as
    in /usr/share/locale. Messages that are not plain text are left out (`sentence_pair`).
    """

    requires = ("data.path",)
    uses = ("data.language",)

    @staticmethod
    def languages(data: DataConfig) -> tuple[str, str]:
        """English, as a rule, and the language of the catalogues."""
        return "en", language_code(data.language)

    def files(self) -> list[Path]:
        """The catalogues, sorted; see `DataSource.files`."""
        if not self.data.path:
            raise ConfigError("data.path: not set; add data.path=FOLDER")
        folder = Path(self.data.path)
        if not folder.is_dir():
            what = "not a folder" if folder.exists() else "no such folder"
            raise DataError(f"data.path={folder}: {what}; give one such as /usr/share/locale")
        found = _catalogues(folder)
        files = sorted(file for file in found if file.absolute().parent.parent.name == self.data.language)
        if not files:
            others = ", ".join(sorted({file.absolute().parent.parent.name for file in found}))
            raise DataError(
                f"data.language={self.data.language}: no {self.data.language}/{_FOLDER}/*.mo or *.po in "
                f"{folder}; languages there: {others or 'none'}"
            )
        return files

    def pairs(self, files: list[Path]) -> Iterator[RawPair]:
        """The messages of each catalogue; those that are left out are not counted. See `DataSource.pairs`."""
        for file in files:
            for message in read_catalogue(file):
                pair = sentence_pair(message.original, message.translation)
                if pair is not None:
                    yield RawPair(*pair, message.line)


def _catalogues(folder: Path) -> list[Path]:
    """All catalogues of any language in a folder or below; links to folders are not followed."""
    return [
        Path(path) / name
        for path, _, names in os.walk(folder)
        if Path(path).absolute().name == _FOLDER
        for name in names
        if name.endswith(_SUFFIXES)
    ]
