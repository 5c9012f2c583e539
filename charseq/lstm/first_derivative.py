"""What a backward pass by hand does not have: a derivative of its own."""

import torch

from charseq.errors import CharseqError


def refuse_second(what: str) -> None:
    """Called in a backward pass: autograd records one only to differentiate it again.

    Raises:
        CharseqError: it does.
    """
    if torch.is_grad_enabled():
        raise CharseqError(
            f"{what} has a first derivative only: for second derivatives (create_graph=True) use"
            " backend='reference'"
        )
