"""charseq as a program: fast where nothing is computed, clear where something is wrong."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import typer.main

ROOT = Path(__file__).parent.parent.parent
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    extra = {"CHARSEQ_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    return {**os.environ, **extra, "OMP_NUM_THREADS": "1", "COLUMNS": "100", "NO_COLOR": "1"}


@pytest.fixture
def charseq(tmp_path: Path, environment: dict[str, str]) -> Run:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "charseq", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text("the cat sat on the mat. " * 200)
    path = tmp_path / "cat.yaml"
    path.write_text(
        "data: {text: text.txt}\n"
        "model: {hidden_size: 8}\n"
        "train: {batch_size: 4, seq_len: 8, max_steps: 30, eval_every: 10, save_every: 10}\n"
        "sample: {length: 20}\n"
    )
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["train", "--help"],
        ["config", "check", "broken.yaml"],
        ["train", "broken.yaml"],
        ["data", "list"],
    ],
)
def test_torch_is_not_imported_before_it_is_needed(
    tmp_path: Path, environment: dict[str, str], arguments: list[str]
) -> None:
    (tmp_path / "broken.yaml").write_text("data: {txt: a.txt}\n")
    code = (
        "import sys\n"
        "from charseq.cli.app import main\n"
        f"sys.argv = ['charseq', *{arguments!r}]\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    code = end.code\n"
        "else:\n    code = None\n"
        "print('torch' in sys.modules, code)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded, code = result.stdout.split()[-2:]
    assert loaded == "False"
    assert code == ("2" if "broken.yaml" in arguments else "0")


def test_the_first_page_names_every_command_and_needs_little_to_be_drawn(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    from charseq.cli.app import app

    code = (
        "import sys\n"
        "from charseq.cli.app import app\n"
        "try:\n    app(['--help'], prog_name='charseq')\n"
        "finally:\n    print('modules', *sorted(sys.modules), file=sys.stderr)"
    )
    for columns in ("60", "100"):
        result = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            cwd=tmp_path,
            env={**environment, "COLUMNS": columns},
            capture_output=True,
            text=True,
            check=True,
        )
        lines = result.stdout.splitlines()
        assert max(map(len, lines)) == int(columns)
        words = " ".join(result.stdout.replace("│", " ").split())
        assert "Usage: charseq [OPTIONS] COMMAND [ARGS]... Train small" in words
        assert "Example: charseq train configs/dates.yaml" in words
        assert "-h, --help Show this message and exit." in words
        for name, command in typer.main.get_group(app).commands.items():
            assert f" {name} {command.get_short_help_str(1000)} " in words
        # A page of help has to be there at once. rich.markdown is what typer would import for it.
        assert not {"numpy", "torch", "pydantic", "rich.markdown"} & {*result.stderr.split()}
        assert "rich.panel" in result.stderr.split()


def test_every_mistake_of_a_configuration_is_told_without_a_traceback(
    charseq: Run, tmp_path: Path
) -> None:
    (tmp_path / "broken.yaml").write_text(
        "data: {text: a.txt}\ntrain:\n  batch_sise: 3\n  seed: x\n"
    )
    result = charseq("train", "broken.yaml")
    assert result.returncode == 2
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0].startswith("error: broken.yaml:3:3: train.batch_sise:")
    assert "did you mean" in lines[0]
    assert "batch_size" in lines[0]
    assert lines[1].startswith("broken.yaml:4:9: train.seed:")
    assert len(lines) == 2


def test_train_then_sample_then_eval(charseq: Run, config: Path, tmp_path: Path) -> None:
    result = charseq("train", "cat.yaml")
    assert result.returncode == 0, result.stderr
    assert "step 20/30" in result.stdout
    assert "a sample:" in result.stdout
    assert " sample runs/cat --temperature 0.5" in result.stdout
    assert (tmp_path / "runs/cat/best.safetensors").exists()
    again = charseq("train", "cat.yaml")
    assert again.returncode == 2
    assert "runs/cat: holds a training already; add --resume" in again.stderr
    resumed = charseq("train", "cat.yaml", "--resume")
    assert resumed.returncode == 0
    assert "all 30 steps are done" in resumed.stdout
    sampled = charseq("sample", "runs/cat", "--prime", "the ", "--length", "12")
    assert sampled.returncode == 0
    assert sampled.stderr == ""
    assert sampled.stdout.startswith("the ")
    scored = json.loads(charseq("eval", "runs/cat", "--json").stdout)
    assert scored["characters"] == 239
    unknown = charseq("sample", "runs/cat", "--prime", "the Cat")
    assert unknown.returncode == 2
    assert "'C' (U+0043 LATIN CAPITAL LETTER C)" in unknown.stderr
    assert "position 5" in unknown.stderr


def test_json_leaves_only_the_result_on_standard_output(charseq: Run, config: Path) -> None:
    result = charseq("train", "cat.yaml", "--json", "--run", "elsewhere")
    told = json.loads(result.stdout)
    assert told["step"] == 30
    assert told["best"]["step"] == told["best_step"]
    assert f"{told['best']['nats']:.4f} nats" in told["best_score"]
    assert "step 20/30" in result.stderr
    quiet = charseq("train", "cat.yaml", "--quiet", "--set", "train.max_steps=2", "--run", "q")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


def test_a_training_is_saved_when_nobody_reads_what_it_prints(
    config: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "charseq", "train", "cat.yaml", "--set", "train.max_steps=1000000"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().startswith("runs/cat: ")
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(timeout=50) == 141
    assert said.startswith("saved, as nobody reads what is printed any more; go on with: ")
    assert said.endswith(" train runs/cat --resume\n")
    assert (tmp_path / "runs/cat/last.safetensors").exists()


def test_ctrl_c_saves_and_says_how_to_resume(
    charseq: Run, config: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    arguments = ["train", "cat.yaml", "--set", "train.max_steps=1000000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "charseq", *arguments],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = tmp_path / "runs/cat/metrics.jsonl"
    deadline = time.monotonic() + 50
    while not (log.exists() and log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert log.exists(), "the training did not begin"
    second = charseq("train", "cat.yaml", "--resume")
    assert second.returncode == 2
    assert f"process {process.pid} trains in this folder" in second.stderr
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=50)
    assert process.returncode == 130
    assert errors == ""
    assert output.splitlines()[-1].endswith(" train runs/cat --resume")
    done = int(output.split("stopped after ")[1].split(" steps")[0].replace(",", ""))
    resumed = charseq("train", "cat.yaml", "--resume", "--set", f"train.max_steps={done + 1}")
    assert resumed.returncode == 0
    assert f"resumed after step {done:,}" in resumed.stdout


def test_a_device_that_is_not_there(charseq: Run, config: Path) -> None:
    result = charseq("train", "cat.yaml", "--device", "tpu")
    assert result.returncode == 2
    assert "tpu" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_full_memory_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    from charseq.cli import app

    monkeypatch.setattr(app, "app", lambda: torch.empty(2**60))  # what torch says is the point
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 2
    assert "not enough memory for this: lower train.batch_size" in capsys.readouterr().err


def test_other_errors_that_speak_of_memory_are_not_taken_for_a_full_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from charseq.cli import app

    def fail() -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(app, "app", fail)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        app.main()


def test_a_full_disk_behind_standard_output_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from charseq.cli import app

    def fail(number: int) -> None:
        raise OSError(number, os.strerror(number))  # as of a stream, which has no name

    monkeypatch.setattr(app, "app", lambda: fail(errno.ENOSPC))
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: standard output: No space left on device\n"
    monkeypatch.setattr(app, "app", lambda: fail(errno.EIO))  # of what, nobody knows
    with pytest.raises(OSError, match="Input/output error"):
        app.main()


def test_an_error_cannot_send_control_characters_to_the_terminal(
    charseq: Run, tmp_path: Path
) -> None:
    result = charseq("eval", "evil\x1b]0;title\x07.safetensors")
    assert result.returncode == 2
    assert "\x1b" not in result.stderr
    assert "\\x1b" in result.stderr


def test_version(charseq: Run) -> None:
    from charseq import __version__

    assert charseq("--version").stdout == f"charseq {__version__}\n"


@pytest.mark.parametrize(
    "command", [["train"], ["eval"], ["sample"], ["runs"], ["sweep"], ["config", "check"]]
)
def test_a_name_that_the_system_refuses_is_told(command: list[str], charseq: Run) -> None:
    name = "a" * 300  # as of a source that was typed where the run belongs
    result = charseq(*command, name)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert f"{name}: " in result.stderr.replace("\n", "")
