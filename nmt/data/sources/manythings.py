"""Tatoeba sentence pairs as published by manythings.org, one zip archive per language."""

import re
from collections.abc import Iterator
from pathlib import Path

from nmt.config.data import DataConfig
from nmt.config.languages import language_code
from nmt.data.archive import open_member
from nmt.data.download import fetch
from nmt.data.lines import decoded_lines
from nmt.data.sources.source import DataSource, RawPair, columns, given_file
from nmt.errors import ConfigError, DataError


class ManythingsSource(DataSource):
    """English and `data.language`: a local archive, or one downloaded once to `data.cache`. English is the
    source.
    """

    uses = ("data.language", "data.url", "data.archive")
    location = "archive"
    licence = "CC-BY 2.0 (France); attribution: www.manythings.org/anki and tatoeba.org"

    @staticmethod
    def languages(data: DataConfig) -> tuple[str, str]:
        """English and the language of the archive."""
        return "en", language_code(data.language)

    @property
    def is_local(self) -> bool:
        """Whether a local archive is given."""
        return bool(self.data.archive)

    def files(self) -> list[Path]:
        """The archive; see `DataSource.files`."""
        member = _member(self.data)
        if self.data.archive:
            path = given_file("archive", self.data.archive)
            with open_member(path, member):
                return [path]
        cached = Path(self.data.cache) / "manythings" / f"{self.data.language}-eng.zip"
        fetch(self.data.url.replace("{language}", self.data.language), cached, member=member)
        try:
            with open_member(cached, member):
                return [cached]
        except DataError as error:
            raise DataError(f"{error}; delete this file to download it again") from error

    def pairs(self, files: list[Path]) -> Iterator[RawPair]:
        """The first two columns of the archive's member; see `DataSource.pairs`."""
        (file,) = files
        where = f"{file} ({_member(self.data)})"
        return columns(_member_lines(file, _member(self.data), where), where, 1, 2)


def _member(data: DataConfig) -> str:
    """The name of the file with the sentence pairs inside the archive."""
    if not re.fullmatch("[a-z]{2,8}", data.language):  # it becomes part of a URL and a path
        raise ConfigError(f"data.language={data.language}: must be a code such as mar, deu or fra")
    return f"{data.language}.txt"


def _member_lines(path: Path, member: str, where: str) -> Iterator[tuple[int, str]]:
    with open_member(path, member) as file:
        yield from decoded_lines(file, where)
