"""Which shape a batch is padded to, so that few shapes serve all batches."""

from nmt.data.padding import Shape


def rounded(size: int) -> int:
    """The next size with four steps per doubling: 1 … 8, 10, 12, 14, 16, 20, 24, 28, 32, 40 …; at most a
    quarter more.
    """
    step = 1 << max(0, size.bit_length() - 3)
    return -(-size // step) * step


def common_shape(shape: Shape) -> Shape:
    """The shape that a batch of this shape is padded to: a pure function, so that a resumed training pads as
    one that was not interrupted.

    On real corpora and batches of 640 tokens, a training of five epochs has up to 160 shapes; rows and
    lengths grow by 9 to 13 %, target tokens by 7 to 11 %.
    """
    rows, source, target = (rounded(size) for size in shape[:3])
    return Shape(rows, source, target, min(rounded(shape.tokens), rows * target))
