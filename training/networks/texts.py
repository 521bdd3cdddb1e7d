"""Networks for texts: token ids and mask, [N, tokens] int64 each; they give logits [N, classes].

What stands beyond a text's end changes nothing: a text has the same logits alone and beside a longer one.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from training.errors import TrainingError

Shape = tuple[int, ...]  # size of the vocabulary, most tokens of a text
HASH = 1_000_003  # odd, and far above any vocabulary: runs spread over all rows of a table
BEYOND = -1e4  # no activation of a trained network is as low, and it is a number in half precision too


class Recurrent(nn.Module):
    """Two recurrent layers, one from either end, then the maximum over time of both (Conneau et al. 2017).

    The one from the end reads each text reversed in its own length, which a layer with `bidirectional` would not: it
    would begin with the padding.
    """

    kind = "text"
    layer: type[nn.GRU] | type[nn.LSTM]

    def __init__(self, shape: Shape, classes: int, embedding: int = 64, hidden: int = 96, dropout: float = 0.2) -> None:
        super().__init__()
        self.embedding = nn.Embedding(shape[0], embedding, padding_idx=0)
        self.forth = self.layer(embedding, hidden, batch_first=True)
        self.back = self.layer(embedding, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * hidden, classes)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        words = self.dropout(self.embedding(input_ids))
        at = torch.arange(input_ids.shape[1], device=input_ids.device)[None]
        reversed_at = (attention_mask.sum(1, keepdim=True) - 1 - at).clamp(min=0)
        reverse = words.gather(1, reversed_at[:, :, None].expand(-1, -1, words.shape[2]))
        states = torch.cat([self.forth(words)[0], self.back(reverse)[0]], 2)
        pooled = states.masked_fill(attention_mask[:, :, None] == 0, BEYOND).amax(1)
        logits: torch.Tensor = self.head(self.dropout(pooled))
        return logits


class GRU(Recurrent):
    """A text classifier of gated recurrent units (Cho et al. 2014)."""

    layer = nn.GRU


class LSTM(Recurrent):
    """A text classifier of long short-term memory (Hochreiter and Schmidhuber 1997)."""

    layer = nn.LSTM


class Transformer(nn.Module):
    """A Transformer encoder (Vaswani et al. 2017), normalized before each part, with learned positions and a mean."""

    kind = "text"

    def __init__(
        self,
        shape: Shape,
        classes: int,
        embedding: int = 64,
        hidden: int = 128,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if embedding % heads:
            raise TrainingError(f"--embedding {embedding} cannot be shared by {heads} --heads: give a multiple")
        self.tokens = nn.Embedding(shape[0], embedding, padding_idx=0)
        self.positions = nn.Embedding(shape[1], embedding)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(EncoderLayer(embedding, hidden, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(embedding)
        self.head = nn.Linear(embedding, classes)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        at = torch.arange(input_ids.shape[1], device=input_ids.device).expand_as(input_ids)
        x = self.dropout(self.tokens(input_ids) + self.positions(at))
        seen = (attention_mask != 0)[:, None, None, :]
        for layer in self.layers:
            x = layer(x, seen)
        share = attention_mask[:, :, None].to(x.dtype)
        pooled = (self.norm(x) * share).sum(1) / share.sum(1).clamp(min=1)
        logits: torch.Tensor = self.head(pooled)
        return logits


class EncoderLayer(nn.Module):
    def __init__(self, width: int, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_hidden = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.hidden = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        normed = self.before_attention(x)
        query, key, value = (self._split(part(normed)) for part in (self.query, self.key, self.value))
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        x = x + self.dropout(self.out(attended.transpose(1, 2).flatten(2)))
        result: torch.Tensor = x + self.dropout(self.hidden(self.before_hidden(x)))
        return result

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        """[N, tokens, width] as [N, heads, tokens, width of a head]."""
        heads: torch.Tensor = x.unflatten(2, (self.heads, -1))
        return heads.transpose(1, 2)


class NGrams(nn.Module):
    """The mean of the vectors of a text's runs of 1 to `longest` tokens, then a linear layer (Joulin et al. 2017).

    Runs share a table of `buckets` rows, by a hash that the graph itself computes: any run has a row, also one that
    was not trained on. Of characters it knows languages and spellings, of pieces of words what texts are about.
    """

    kind = "text"

    def __init__(
        self,
        shape: Shape,
        classes: int,
        embedding: int = 64,
        buckets: int = 16384,
        longest: int = 4,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.buckets, self.longest = buckets, longest
        self.table = nn.Embedding(buckets, embedding)
        nn.init.normal_(self.table.weight, std=embedding**-0.5)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(embedding, classes)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        seen = attention_mask != 0
        run, inside = input_ids % self.buckets, seen
        rows, there = [run], [inside]
        for _ in range(1, self.longest):
            input_ids, seen = (functional.pad(part, (0, 1))[:, 1:] for part in (input_ids, seen))
            run = (run * HASH + input_ids + 1) % self.buckets
            inside = inside & seen
            rows, there = [*rows, run], [*there, inside]
        vectors = self.table(torch.cat(rows, 1))
        share = torch.cat(there, 1)[:, :, None].to(vectors.dtype)
        pooled = (vectors * share).sum(1) / share.sum(1).clamp(min=1)
        logits: torch.Tensor = self.head(self.dropout(pooled))
        return logits
