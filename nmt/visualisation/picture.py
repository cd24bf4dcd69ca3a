"""A figure as a picture that Jupyter shows."""

import io

from matplotlib.figure import Figure

_DPI = 100


class Picture:
    """A figure as a PNG, for the last line of a notebook cell.

    The same figure gives the same bytes, and no state of pyplot is used.

    Args:
        figure: the figure; drawn at once.
        description: what it shows, for readers who cannot see it.
    """

    def __init__(self, figure: Figure, description: str) -> None:
        self.description = description
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
        self.png = file.getvalue()

    def _repr_png_(self) -> bytes:
        """The picture, for Jupyter."""
        return self.png

    def __repr__(self) -> str:
        return f"picture: {self.description}"
