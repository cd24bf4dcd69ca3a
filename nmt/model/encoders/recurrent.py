"""The recurrent encoder: a stacked, optionally bidirectional GRU or LSTM.

Shapes: B batch, S source length, E embedding size, M state size, X any size.
"""

import warnings

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from nmt.config.model import ModelConfig
from nmt.model.cells import CELLS, Layers, Recurrent, ResetBeforeGRU
from nmt.model.dropout import dropout
from nmt.model.encoders.encoded import Encoded
from nmt.model.loops.gru_sequence import gru_layers


def reversed_order(mask: Tensor) -> Tensor:
    """Indices that reverse the tokens before end-of-sentence, the last real token: [B, S] → [B, S].

    End-of-sentence and padding stay in place. Applied twice, it restores the order.
    """
    positions = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
    end = mask.sum(dim=1, keepdim=True) - 1  # [B, 1]
    return torch.where(positions < end, end - 1 - positions, positions)


def backwards(mask: Tensor) -> Tensor:
    """Indices that reverse all real tokens: [B, S] → [B, S].

    Padding stays in place. Applied twice, it restores the order.
    """
    positions = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
    return torch.where(mask, mask.sum(dim=1, keepdim=True) - 1 - positions, positions)


def reorder(vectors: Tensor, order: Tensor) -> Tensor:
    """[B, S, X] and indices [B, S] → [B, S, X]."""
    return vectors.gather(1, order.unsqueeze(-1).expand_as(vectors))


class RecurrentEncoder(nn.Module):
    """Stacked, optionally bidirectional GRU or LSTM (Bahdanau et al. 2015, §3.2 and appendix A.2.1).

    h_j = [→h_j ; ←h_j]. Sequences are packed, so the backward direction starts at the last real token
    and padding has no effect. There is no dropout on the output states: to counter the noise, attention
    would learn to average several states instead of focusing on one.

    With `encoder.reverse` the tokens are read in reverse order (Sutskever et al. 2014, §3.3), the
    end-of-sentence still last; the states are returned in the order of the source.
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__()
        encoder = config.encoder
        directions = 2 if encoder.bidirectional else 1
        self.rnn: Recurrent = CELLS[encoder.cell](
            encoder.embedding,
            encoder.size // directions,
            num_layers=encoder.layers,
            bidirectional=encoder.bidirectional,
            dropout=dropout if encoder.layers > 1 else 0.0,
            batch_first=True,
        )
        self.directions, self.reverse = directions, encoder.reverse

    def forward(self, embedded: Tensor, mask: Tensor, lengths: Tensor | None = None) -> Encoded:
        """Encode.

        Args:
            embedded: embeddings of the source tokens, [B, S, E].
            mask: True at real tokens, [B, S]; each row has at least one, and is padded on the right.
            lengths: their number in each row, [B] on the CPU, for packing. None: in training the sequences
                are not packed, so that the host need not know the lengths; in evaluation they are counted,
                for which the host waits for a GPU.
        """
        assert embedded.shape[:2] == mask.shape, (embedded.shape, mask.shape)
        order = reversed_order(mask) if self.reverse else None
        states, final = self._run(embedded if order is None else reorder(embedded, order), mask, lengths)
        last = torch.cat(tuple(final[0][-self.directions :]), dim=-1)  # [B, M]
        states = states if order is None else reorder(states, order)
        return Encoded(states, mask, last, self._layers(final))

    def _run(
        self, embedded: Tensor, mask: Tensor, lengths: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """States [B, S, M], and the final (h,) or (h, c), each [layers × directions, B, M / directions]."""
        if isinstance(self.rnn, ResetBeforeGRU):
            states, hidden = self.rnn(embedded, mask=mask)
            return states, (hidden,)
        if lengths is None and self.training:
            return run_padded(self.rnn, embedded, mask)
        lengths = mask.sum(dim=1).cpu() if lengths is None else lengths
        outputs, final = self._run_packed(_packed(embedded, lengths))
        return _padded(outputs, mask.shape[1]), final if isinstance(final, tuple) else (final,)

    def _run_packed(self, packed: PackedSequence) -> tuple[PackedSequence, Tensor | tuple[Tensor, Tensor]]:
        """As PyTorch's module, which is slower on a CPU."""
        if not isinstance(self.rnn, nn.GRU) or packed.data.device.type != "cpu":
            outputs: PackedSequence
            outputs, final = self.rnn(packed)
            return outputs, final
        states, final = gru_layers(self.rnn, packed.data, packed.batch_sizes.tolist())
        assert packed.unsorted_indices is not None  # as the lengths were not sorted
        return packed._replace(data=states), final.index_select(1, packed.unsorted_indices)

    def _layers(self, final: tuple[Tensor, ...]) -> Layers:
        """The final states of `_run` by layer, with the directions concatenated, each [B, M]."""
        parts = (
            part.reshape(-1, self.directions, *part.shape[1:]).transpose(1, 2).flatten(2)  # [layers, B, M]
            for part in final
        )
        return tuple(zip(*parts, strict=True))


def _packed(inputs: Tensor, lengths: Tensor) -> PackedSequence:
    """[B, S, X] and the lengths [B] on the CPU, packed; the host does not wait while the order is copied."""
    lengths, order = lengths.sort(descending=True)
    if inputs.is_cuda:
        order = order.pin_memory().to(inputs.device, non_blocking=True)
    packed = pack_padded_sequence(inputs.index_select(0, order), lengths, batch_first=True)
    return PackedSequence(packed.data, packed.batch_sizes, order, order.argsort())


def _padded(packed: PackedSequence, longest: int) -> Tensor:
    """A packed sequence → [B, S, X], in the order before packing. `pad_packed_sequence` alone would make the
    host wait for that order.
    """
    ordered = PackedSequence(packed.data, packed.batch_sizes)
    states, _ = pad_packed_sequence(ordered, batch_first=True, total_length=longest)
    assert packed.unsorted_indices is not None
    return states.index_select(0, packed.unsorted_indices)


# ---------------------------------------------------------------- without packing


def run_padded(rnn: nn.GRU | nn.LSTM, inputs: Tensor, mask: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """What `rnn` computes from packed sequences, on padded ones: the host need not know the lengths.

    The backward direction reads each row with its real tokens reversed.

    Args:
        rnn: batch-first.
        inputs: [B, S, X].
        mask: True at real tokens, [B, S].

    Returns:
        states [B, S, D·H] for D directions, zero on padding, and the final (h,) or (h, c), each
        [layers · D, B, H].
    """
    order = backwards(mask)
    finals: list[tuple[Tensor, ...]] = []
    for layer in range(rnn.num_layers):
        inputs = dropout(inputs, rnn.dropout, rnn.training) if layer else inputs
        directions = []
        for suffix in ("", "_reverse")[: 2 if rnn.bidirectional else 1]:
            ordered = reorder(inputs, order) if suffix else inputs
            names = [f"{name}_l{layer}{suffix}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
            run = _run_lstm if isinstance(rnn, nn.LSTM) else _run_gru
            states, final = run(ordered, mask, [rnn.get_parameter(name) for name in names])
            directions.append(reorder(states, order) if suffix else states)
            finals.append(final)
        inputs = torch.cat(directions, dim=-1) * mask.unsqueeze(-1)
    return inputs, tuple(torch.stack(part) for part in zip(*finals, strict=True))


def _run_gru(inputs: Tensor, mask: Tensor, weights: list[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One layer in one direction: states [B, S, H] and the (h,) at the last real token, [B, H]."""
    first = inputs.new_zeros((1, len(inputs), weights[1].shape[1]))
    with warnings.catch_warnings():  # cuDNN copies the weights of one direction together: they are small
        warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous")
        states, _ = torch.gru(inputs, first, weights, True, 1, 0.0, True, False, True)
    last = (mask.sum(dim=1) - 1)[:, None, None].expand(-1, 1, states.shape[2])
    return states, (states.gather(1, last).squeeze(1),)


def _run_lstm(inputs: Tensor, mask: Tensor, weights: list[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
    """As `_run_gru`, with (h, c); step by step, because the kernel for sequences does not return every c."""
    h = c = inputs.new_zeros((len(inputs), weights[1].shape[1]))
    states = []
    for step, real in zip(inputs.unbind(1), mask.unsqueeze(-1).unbind(1), strict=True):
        new_h, new_c = torch.lstm_cell(step, (h, c), *weights)
        h, c = torch.where(real, new_h, h), torch.where(real, new_c, c)
        states.append(h)
    return torch.stack(states, dim=1), (h, c)
