"""A checkpoint goes to another folder and another device, alone, and all goes on there."""

import shutil
from pathlib import Path

import pytest
import torch
from small_runs import settings

from charseq import load_language_model
from charseq.models.checkpoint import read_checkpoint
from charseq.models.checkpoint_file import WEIGHTS
from charseq.training.loop import train

ON_A_GPU = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ("cpu", "cpu"),
        pytest.param("cuda", "cpu", marks=ON_A_GPU),
        pytest.param("cpu", "cuda", marks=ON_A_GPU),
    ],
)
def test_a_checkpoint_moves_alone(there: str, here: str, tmp_path: Path) -> None:
    list(train(settings(tmp_path, max_steps=20), run=tmp_path / "there", device=there))
    (tmp_path / "here").mkdir()
    shutil.copy(tmp_path / "there/last.safetensors", tmp_path / "here")
    text = "hot night. cold day. " * 20
    scores = [
        load_language_model(tmp_path / folder / "last.safetensors", device=device).evaluate(text)
        for folder, device in (("there", there), ("here", here))
    ]
    assert scores[1].nats == pytest.approx(scores[0].nats, rel=1e-5)

    config = settings(tmp_path, max_steps=40)
    list(train(config, run=tmp_path / "here", device=here, resume=True))
    list(train(config, run=tmp_path / "whole", device=there))
    moved, stayed = (
        read_checkpoint(tmp_path / folder / "last.safetensors").tensors
        for folder in ("here", "whole")
    )
    assert moved.keys() >= stayed.keys() - {"random.cuda"}
    weights = [name for name in stayed if name.startswith(WEIGHTS)]
    assert len(weights) == 8
    for name in weights:
        exact = there == here
        torch.testing.assert_close(
            moved[name],
            stayed[name],
            rtol=0 if exact else 1e-2,
            atol=0 if exact else 1e-3,
            msg=name,
        )
