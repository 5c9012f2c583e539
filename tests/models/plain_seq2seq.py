"""The same model once more, of torch's own LSTM and Python loops: one pair, one step, one place.

Nothing here is batched or padded, and nothing comes from charseq but the weights.
"""

import itertools
import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

END = 0


def plain_logits(model: Any, source: list[int], target: list[int]) -> Tensor:
    """Logits (T, V) of each symbol of ``target`` and its END; with a pointer, log P."""
    weights = {name: p.detach() for name, p in model.named_parameters()}
    values, h, c = encode(weights, source)
    if "decoder.place.weight" in weights:
        return monotonic_log_p(weights, model, source, target)
    feed = torch.zeros_like(h[-1])
    covered = [0.0] * len(source)
    rows = []
    for ident in [END, *target]:
        row, h, c, feed, looked = plain_step(
            weights, model, source, values, ident, h, c, feed, covered
        )
        covered = [a + b for a, b in zip(covered, looked or covered, strict=True)]
        rows.append(row)
    return torch.stack(rows)


def plain_step(
    w: dict[str, Tensor],
    model: Any,
    source: list[int],
    values: Tensor,
    ident: int,
    h: list[Tensor],
    c: list[Tensor],
    feed: Tensor,
    covered: list[float],
) -> tuple[Tensor, list[Tensor], list[Tensor], Tensor, list[float]]:
    x = read(w, "decoder", ident)
    below = torch.cat([x, feed]) if model.decoder.input_feeding else x
    h_new, c_new = [], []
    for layer in range(len(h)):
        below, memory_cell = cell(w, f"decoder.lstm.{{}}_l{layer}", below, h[layer], c[layer])
        h_new.append(below)
        c_new.append(memory_cell)
    top, weights = below, []
    if model.decoder.attention is not None:
        scores = [score(w, model.decoder.attention.score, below, m) for m in values]
        if "decoder.attention.coverage" in w:
            u = float(w["decoder.attention.coverage"])
            scores = [s + u * before for s, before in zip(scores, covered, strict=True)]
        weights = softmax(scores)
        context = torch.stack([a * m for a, m in zip(weights, values, strict=True)]).sum(0)
        top = torch.tanh(w["decoder.combine.weight"] @ torch.cat([context, below]))
    logits = w["decoder.output.weight"] @ top + w["decoder.output.bias"]
    if model.copy_table is not None:
        table = model.copy_table.tolist()
        switch = w["decoder.pointer.switch.weight"][0] @ torch.cat([context, below, x])
        p_gen = torch.sigmoid(switch + w["decoder.pointer.switch.bias"][0])
        logits = mixture(logits, p_gen, weights, [table[ident] for ident in source]).log()
    return logits, h_new, c_new, top, weights


def monotonic_log_p(
    w: dict[str, Tensor], model: Any, source: list[int], target: list[int]
) -> Tensor:
    """log P (T, V) with monotonic attention: every path of places by itself, and their sum."""
    values, h, c = encode(w, source)
    read_so_far = [END, *target]
    tops, xs = [], []
    for ident in read_so_far:
        below = read(w, "decoder", ident)
        xs.append(below)
        for layer in range(len(h)):
            name = f"decoder.lstm.{{}}_l{layer}"
            h[layer], c[layer] = cell(w, name, below, h[layer], c[layer])
            below = h[layer]
        tops.append(below)
    table = None if model.copy_table is None else model.copy_table.tolist()

    def move(t: int, r: int, s: int) -> float:
        """P(a_t = s | a_{t-1} = r)"""
        far = w["decoder.distance.weight"] @ tops[t] + w["decoder.distance.bias"]
        query = w["decoder.place.weight"] @ tops[t]
        scores = [float(query @ values[s] + far[min(s - r, 4)]) for s in range(r, len(source))]
        return softmax(scores)[s - r]

    def symbol(t: int, s: int) -> Tensor:
        """P(y | a_t = s), (V,)"""
        top = torch.tanh(w["decoder.combine.weight"] @ torch.cat([values[s], tops[t]]))
        logits = w["decoder.output.weight"] @ top + w["decoder.output.bias"]
        if table is None:
            return logits.softmax(0)
        switch = w["decoder.pointer.switch.weight"][0] @ torch.cat([values[s], tops[t], xs[t]])
        p_gen = torch.sigmoid(switch + w["decoder.pointer.switch.bias"][0])
        return mixture(logits, p_gen, [1.0], [table[source[s]]])

    def joint(paths: int) -> Tensor:
        """P(the first ``paths`` symbols of the target, then y), (V,): the sum over all paths."""
        total = torch.zeros_like(w["decoder.output.bias"])
        places = range(len(source))
        for path in itertools.combinations_with_replacement(places, paths + 1):
            p, before = 1.0, 0
            for t, place in enumerate(path):
                p *= move(t, before, place)
                if t < paths:
                    p *= float(symbol(t, place)[target[t]])
                before = place
            total += p * symbol(paths, path[-1])
        return total

    rows, so_far = [], 1.0
    for t in range(len(read_so_far)):
        p = joint(t)
        rows.append((p / so_far).log())
        if t < len(target):
            so_far = float(p[target[t]])
    return torch.stack(rows)


def mixture(logits: Tensor, p_gen: Tensor, weights: list[float], copies: list[int]) -> Tensor:
    """See et al. 2017, equation 9, the attention renormalised over what can be copied."""
    total = sum(a for a, target in zip(weights, copies, strict=True) if target >= 0)
    generated = torch.stack([z.exp() for z in logits])
    generated = generated / generated.sum()
    if total == 0:
        return generated
    p = p_gen * generated
    for a, target in zip(weights, copies, strict=True):
        if target >= 0:
            p[target] += (1 - p_gen) * a / total
    return p


def encode(w: dict[str, Tensor], source: list[int]) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Outputs (S, H), and the decoder's first h and c of each layer, through torch.nn.LSTM."""
    names = [name.removeprefix("encoder.lstm.") for name in w if name.startswith("encoder.lstm.")]
    layers = sum(name.startswith("weight_hh") and "reverse" not in name for name in names)
    both = any("reverse" in name for name in names)
    x = torch.stack([read(w, "encoder", ident) for ident in source])
    hidden = w["encoder.lstm.weight_hh_l0"].shape[1]
    lstm = torch.nn.LSTM(x.shape[1], hidden, layers, bidirectional=both, dtype=x.dtype)
    with torch.no_grad():
        for name, parameter in lstm.named_parameters():
            if name in names:
                parameter.copy_(w[f"encoder.lstm.{name}"])
            else:
                parameter.zero_()
        values, (h_n, c_n) = lstm(x)
    directions = 2 if both else 1
    h: list[Tensor] = []
    c: list[Tensor] = []
    for layer in range(layers):
        ends = range(layer * directions, (layer + 1) * directions)
        for kind, last, into in (("h", h_n, h), ("c", c_n, c)):
            weight, bias = (
                w[f"encoder.bridge_{kind}.{layer}.{part}"] for part in ("weight", "bias")
            )
            into.append(weight @ torch.cat([last[end] for end in ends]) + bias)
        h[-1] = torch.tanh(h[-1])
    return values, h, c


def cell(w: dict[str, Tensor], name: str, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    twin = torch.nn.LSTMCell(len(x), len(h), dtype=x.dtype)
    with torch.no_grad():
        for part in ("weight_ih", "weight_hh", "bias_ih"):
            twin.get_parameter(part).copy_(w[name.format(part)])
        twin.bias_hh.zero_()
        h, c = twin(x[None], (h[None], c[None]))
    return h[0], c[0]


def read(w: dict[str, Tensor], side: str, ident: int) -> Tensor:
    """An embedding, or a one-hot vector."""
    if f"{side}.embedding.weight" in w:
        return w[f"{side}.embedding.weight"][ident]
    width = w[f"{side}.lstm.weight_ih_l0"].shape[1]
    if side == "decoder":
        width = len(w["decoder.output.bias"])
    return one_hot(torch.tensor(ident), width).to(w["decoder.output.bias"].dtype)


def score(w: dict[str, Tensor], kind: str, h: Tensor, m: Tensor) -> float:
    if kind == "dot":
        return float(h @ m)
    query = w["decoder.attention.query.weight"] @ h
    if kind == "general":
        return float(query @ m)
    inner = torch.tanh(query + w["decoder.attention.key.weight"] @ m)
    return float(w["decoder.attention.v.weight"][0] @ inner)


def softmax(scores: list[float]) -> list[float]:
    total = math.fsum(math.exp(s) for s in scores)
    return [math.exp(s) / total for s in scores]
