"""What constraints have in common that make hypotheses have tokens."""


class Forcing:
    """The part of a constraint (see `nmt.decoding.constraint.Constraint`) that asks for tokens."""

    def forces(self) -> bool:
        """True: its tokens may be improbable."""
        return True

    def watch(self) -> None:
        """None: every token matters."""
        return None
