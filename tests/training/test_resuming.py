"""A training that goes on: bit for bit, from what is whole, and as what it was; else refused."""

from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch
from small_runs import stop_after
from text_runs import lines, run, settings, tensors

from charseq.config import load_config
from charseq.errors import CharseqError
from charseq.models.checkpoint import read_checkpoint
from charseq.models.checkpoint_file import CheckpointError
from charseq.training.events import Evaluated, Saved, Started, Stopped
from charseq.training.loop import train

pytestmark = pytest.mark.usefixtures("own_cache")


def test_30_steps_and_30_more_are_60_bit_for_bit(text: Path, tmp_path: Path) -> None:
    config = settings(text, train__shift_streams=True)
    run(config, tmp_path / "whole")
    for step in (13, 20, 30, 41, 60):  # at 20 and 60 within an evaluation
        interrupted = tmp_path / f"stopped{step}"
        stopped = run(config, interrupted, should_stop=stop_after(step))[-1]
        assert isinstance(stopped, Stopped)
        assert (stopped.step, stopped.finished) == (step, False)
        evaluated = [one["step"] for one in lines(interrupted) if one["event"] == "evaluated"]
        assert evaluated == [at for at in (20, 40) if at < step]
        torch.manual_seed(step)  # another process would not have the same generator either
        run(config, interrupted, resume=True)
        for name in ("last", "best"):
            wanted = tensors(tmp_path / "whole" / f"{name}.safetensors")
            found = tensors(interrupted / f"{name}.safetensors")
            assert wanted.keys() == found.keys()
            assert all(torch.equal(found[key], value) for key, value in wanted.items())
        assert lines(interrupted) == lines(tmp_path / "whole")
    assert len(lines(tmp_path / "whole")) == 60 // 7 + 1 + 60 // 20


def test_stopped_in_an_evaluation_and_behind_it_that_stands_in_the_log_once(
    text: Path, tmp_path: Path
) -> None:
    """The checkpoint of that step was there already, and knew nothing of the evaluation."""
    config = settings(text, train__save_every=15)
    run(config, tmp_path / "whole")
    stopped = tmp_path / "stopped"
    run(config, stopped, should_stop=stop_after(20))
    stop = Event()
    seen = []
    for event in train(config, run=stopped, resume=True, device="cpu", should_stop=stop.is_set):
        seen.append(type(event))
        if isinstance(event, Evaluated):
            stop.set()
    assert seen == [Started, Evaluated, Saved, Stopped]
    run(config, stopped, resume=True)
    assert lines(stopped) == lines(tmp_path / "whole")


def test_a_finished_run_goes_on_when_its_limit_is_raised(text: Path, tmp_path: Path) -> None:
    run(settings(text, train__max_steps=10), tmp_path / "run")
    events = run(settings(text, train__max_steps=20), tmp_path / "run", resume=True)
    assert isinstance(events[0], Started)
    assert events[0].step == 10
    assert isinstance(events[-1], Stopped)
    assert events[-1].step == 20


def test_settings_with_which_nothing_is_trained_are_not_those_of_the_run(
    text: Path, tmp_path: Path
) -> None:
    run(settings(text), tmp_path / "run")
    before = (tmp_path / "run/config.yaml").read_bytes()
    for changes in ({"train__learning_rate": 1.0}, {"train__max_steps": 30}):
        events = run(settings(text, **changes), tmp_path / "run", resume=True)
        assert [type(event) for event in events] == [Started, Stopped]
        assert (tmp_path / "run/config.yaml").read_bytes() == before
    stopped = tmp_path / "stopped"
    run(settings(text), stopped, should_stop=stop_after(40))
    shorter = settings(text, train__max_steps=30)
    run(shorter, stopped, resume=True)  # ends it, which is a change
    assert load_config(stopped / "config.yaml") == shorter
    longer = settings(text, train__max_steps=61, train__learning_rate=1.0)
    run(longer, tmp_path / "run", resume=True)
    assert load_config(tmp_path / "run/config.yaml") == longer


def test_a_training_is_never_overwritten(text: Path, tmp_path: Path) -> None:
    config = settings(text, train__max_steps=2)
    run(config, tmp_path / "run")
    before = (tmp_path / "run" / "last.safetensors").read_bytes()
    with pytest.raises(CharseqError, match=r"add --resume .* or --run"):
        run(config, tmp_path / "run")
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == before


def test_a_damaged_last_checkpoint_falls_back_to_the_previous(text: Path, tmp_path: Path) -> None:
    config = settings(text)
    run(config, tmp_path / "whole")
    run(config, tmp_path / "run", should_stop=stop_after(30))
    last = tmp_path / "run" / "last.safetensors"
    last.write_bytes(last.read_bytes()[:-7])
    events = run(config, tmp_path / "run", resume=True)
    start = events[0]
    assert isinstance(start, Started)
    assert start.step == 20
    assert start.notice is not None
    assert "going on from previous.safetensors" in start.notice
    wanted, found = (tensors(tmp_path / r / "last.safetensors") for r in ("whole", "run"))
    assert all(torch.equal(found[key], value) for key, value in wanted.items())
    assert lines(tmp_path / "run") == lines(tmp_path / "whole")
    # The damaged file did not take the place of the good one at the next save.
    assert (
        read_checkpoint(tmp_path / "run" / "previous.safetensors").extra["progress"]["step"] == 50
    )


def test_where_only_the_best_weights_are_left_nothing_begins_anew(
    text: Path, tmp_path: Path
) -> None:
    """As where somebody needed the room; but a training may be killed before its first save."""
    folder = tmp_path / "run"
    run(settings(text, train__save_every=30), folder)
    for name in ("last", "previous"):
        (folder / f"{name}.safetensors").unlink()
    before = {file.name: file.read_bytes() for file in folder.iterdir() if file.name != ".lock"}
    with pytest.raises(CheckpointError, match=r"of step \d+, and last.safetensors.*is gone.*--run"):
        run(settings(text, train__save_every=30), folder, resume=True)
    assert before == {name: (folder / name).read_bytes() for name in before}

    run(settings(text, train__save_every=1000), tmp_path / "early")
    whole = tensors(tmp_path / "early" / "last.safetensors")
    (tmp_path / "early" / "last.safetensors").unlink()
    started = run(settings(text, train__save_every=1000), tmp_path / "early", resume=True)[0]
    assert isinstance(started, Started)
    assert started.step == 0
    found = tensors(tmp_path / "early" / "last.safetensors")
    assert all(torch.equal(found[name], value) for name, value in whole.items())


def test_where_every_checkpoint_is_damaged_each_is_named(text: Path, tmp_path: Path) -> None:
    run(settings(text), tmp_path / "run")
    for name in ("last", "previous"):
        path = tmp_path / "run" / f"{name}.safetensors"
        path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(CharseqError) as caught:
        run(settings(text), tmp_path / "run", resume=True)
    last, previous, advice = str(caught.value).splitlines()
    assert "last.safetensors: " in last
    assert "previous.safetensors: " in previous
    assert advice == "there is no other to go on from; train anew with --run"


def test_an_average_that_begins_late_begins_with_the_weights_as_they_are(
    text: Path, tmp_path: Path
) -> None:
    run(settings(text, train__average_decay=None, train__max_steps=10), tmp_path / "run")
    before = tensors(tmp_path / "run" / "last.safetensors")["model.output.weight"]
    run(
        settings(text, train__average_decay=0.999999, train__max_steps=11),
        tmp_path / "run",
        resume=True,
    )
    after = tensors(tmp_path / "run" / "last.safetensors")
    now, average = after["model.output.weight"], after["average.output.weight"]
    # decay (1 + 10) / (10 + 10) at step 10: between the two, and nowhere near the random start
    torch.testing.assert_close(average, before + (1 - 11 / 20) * (now - before))


def test_weights_alone_cannot_be_resumed(text: Path, tmp_path: Path) -> None:
    config = settings(text, train__max_steps=5)
    run(config, tmp_path / "run")
    best = tmp_path / "run" / "best.safetensors"
    (tmp_path / "run" / "last.safetensors").write_bytes(best.read_bytes())
    with pytest.raises(CharseqError, match="holds weights only"):
        run(config, tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model__hidden_size": 13}, "model.hidden_size was 12 and is 13"),
        ({"train__seq_len": 10}, "train.seq_len was 11 and is 10"),
        ({"train__shift_streams": True}, "train.shift_streams was false and is true"),
        ({"data__split": [0.7, 0.2, 0.1]}, "the data, or how it is read and split, has changed"),
    ],
)
def test_resuming_with_another_network_or_text_is_refused(
    text: Path, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    run(settings(text, train__max_steps=2), tmp_path / "run")
    with pytest.raises(CharseqError, match=words):
        run(settings(text, **changes), tmp_path / "run", resume=True)
