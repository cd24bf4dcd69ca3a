"""The list of names for `data.names`: a file of the user, or the list of this project for two languages."""

from pathlib import Path

from nmt.config.data import OWN_NAMES, DataConfig
from nmt.config.directions import languages_of
from nmt.data.sources.source import given_file
from nmt.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parents[1]
_FOLDERS = (_PACKAGE / "names", _PACKAGE.parent / "data" / "names")  # installed; in a checkout


def own_list(config: DataConfig) -> Path | None:
    """The list of this project for the languages of the main corpus, in the order of its files; None if it
    has none, or the languages are not known.
    """
    languages = languages_of(config)
    name = "" if languages is None else f"{languages[0]}-{languages[1]}.tsv"
    return next((file for folder in _FOLDERS for file in folder.glob("*.tsv") if file.name == name), None)


def names_file(config: DataConfig) -> Path:
    """The file that `data.names` asks for, which is not None.

    Raises:
        ConfigError: for "auto", if there is no list for the languages.
        DataError: if the file cannot be read.
    """
    if config.names != OWN_NAMES:
        return given_file("names", config.names)
    found = own_list(config)
    if found is None:
        lists = ", ".join(sorted(file.stem for folder in _FOLDERS for file in folder.glob("*.tsv")))
        raise ConfigError(
            f"data.names={OWN_NAMES}: there is no list of names for these languages, only {lists} "
            "(data.languages names them); give a file, or data.names=null"
        )
    return found
