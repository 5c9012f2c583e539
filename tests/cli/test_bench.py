"""``charseq bench``: what runs here, how fast, and why the rest does not."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from charseq.cli.app import app as charseq
from charseq.cli.bench import bench
from charseq.errors import CharseqError
from charseq.lstm import kernel
from charseq.lstm.layer import BACKENDS
from charseq.text.cache import cache_folder

app = typer.Typer()
app.command()(bench)

NO_COMPILER = (
    "$CXX, /nonexistent, is not installed; for example `apt install g++`,"
    " `dnf install gcc-c++` or `conda install gxx` gives one"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the command is typed: a cache with the kernel alone, which nobody has loaded yet."""
    built = cache_folder() / "kernels"
    built.mkdir(parents=True, exist_ok=True)
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "kernels").symlink_to(built)
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(cache))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads()
    forget()
    yield tmp_path
    torch.set_num_threads(threads)
    forget()


def forget() -> None:
    kernel.look_for.cache_clear()


@pytest.fixture
def no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "/nonexistent")
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "empty"))


@pytest.fixture
def kernel_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARSEQ_KERNEL", "off")


def run(*arguments: str) -> Result:
    env = {"COLUMNS": "80", "TERM": "dumb"}
    return CliRunner(env=env).invoke(app, arguments, catch_exceptions=False)


def as_json(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


def told(*arguments: str) -> dict[str, str]:
    """What --explain says of each backend, in one line."""
    lines = run("--explain", *arguments).stdout.splitlines()
    return {line[:12].strip(): line[12:] for line in lines if line[11:12] == " "}


def test_explain_says_what_is_missing_and_how_to_get_it(no_compiler: None) -> None:
    lines = told()
    assert lines["fused"] == lines["fused bf16"] == f"does not run here: {NO_COMPILER}"
    assert all(lines[name].startswith("runs: ") for name in ("manual", "reference", "torch"))
    assert run("--explain").stdout.endswith("On a CPU `backend: auto` is manual.\n")


def test_a_kernel_that_was_switched_off_is_not_blamed_on_the_compiler(kernel_off: None) -> None:
    assert told()["fused"].startswith("does not run here: CHARSEQ_KERNEL=off is set")


@pytest.mark.kernel
def test_where_the_kernel_is_and_what_it_computes_with() -> None:
    loaded = kernel.load()
    report = as_json("--explain", "--threads", "1")
    assert report["auto"] == "fused"
    facts = report["kernel"]
    assert facts["library"] == str(loaded.path)
    assert facts["threads"] == report["machine"]["threads"] == 1
    names = {"avx512_bf16": "AVX-512 with BF16", "avx512": "AVX-512", "avx2": "AVX2"}
    names["plain"] = "what every such processor has"
    assert facts["instructions"] == names[loaded.instructions]
    line = told()["fused"]
    assert f"{facts['compiler_version']}, on" in line
    assert line.endswith(facts["library"])


@pytest.mark.kernel
def test_a_processor_without_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "usable_instructions", lambda: ["plain"])
    assert told()["fused bf16"] == (
        "does not run here: this processor has no avx512_bf16, only plain;"
        " train.precision: fp32 runs everywhere"
    )


def test_json_lists_every_backend(no_compiler: None) -> None:
    report = as_json("--explain")
    assert (report["auto"], report["kernel"], report["speeds"]) == ("manual", None, None)
    listed = {one["name"]: one["why_not"] for one in report["backends"]}
    assert listed.keys() == {*BACKENDS, "fused bf16"}
    missing = {name: why for name, why in listed.items() if why is not None}
    assert missing == {"fused": NO_COMPILER, "fused bf16": NO_COMPILER}
    assert report["machine"]["torch"] == torch.__version__


SMALL = ["--seconds", "0", "--threads", "1"]


def test_a_text_is_trained_on_and_written_by_all_that_run_here(folder: Path) -> None:
    Path("cat.txt").write_text("the cat sat on the mat. " * 60)
    Path("cat.yaml").write_text(
        "data: {text: cat.txt, valid_text: absent.txt}\n"
        "model: {hidden_size: 8, weight_drop: 0.1, backend: reference}\n"
        "train: {batch_size: 4, seq_len: 6, max_steps: 1}\n"
    )
    report = as_json("cat.yaml", *SMALL)
    speeds = report["speeds"]
    runs = [one["name"] for one in report["backends"] if one["why_not"] is None]
    names = ["nn.LSTM", "manual", *(name for name in runs if name.startswith("fused"))]
    assert list(speeds["training"]) == list(speeds["writing"]) == names
    assert speeds["data"] == "cat.txt"
    assert speeds["vocab_size"] == len(set("the cat sat on the mat. "))
    assert (speeds["symbols"], speeds["threads"]) == (24, 1)
    # W_ih, W_hh, b; W_out, b_out
    assert speeds["parameters"] == 32 * 11 + 32 * 8 + 32 + 11 * 8 + 11
    # Three products of W_hh and W_out a character; the first state of a stream needs no gradient.
    assert speeds["flops"] == 2 * (3 * 24 * (32 * 8 + 11 * 8) - 4 * 32 * 8)
    assert speeds["rounds"] == 3
    assert speeds["spared"] == ["model.weight_drop"]
    for found in (speeds["training"], speeds["writing"]):
        assert found["nn.LSTM"]["ratio"] == 1.0
        for speed in found.values():
            low, high = speed["ratio_quartiles"]
            assert 0 < low <= speed["ratio"] <= high
    assert all(speed["share_of_peak"] > 0 for speed in speeds["training"].values())
    assert sorted(path.name for path in folder.iterdir()) == ["cache", "cat.txt", "cat.yaml"]


def test_pairs_that_are_not_here_are_random(kernel_off: None) -> None:
    Path("pairs.yaml").write_text(
        "task: seq2seq\ndata: {train: absent.tsv}\nmodel: {hidden_size: 8}\n"
        "train: {batch_size: 8}\nsample: {beam: 2}\n"
    )
    result = run("pairs.yaml", *SMALL, "--set", "model.hidden_size=6")
    assert result.exit_code == 0
    output = " ".join(result.stdout.split())
    assert "random pairs: about 20 symbols to 10, of 65:" in output
    assert "training target symbols/s to torch of the peak torch " in output
    assert "converting sources/s to torch" in output
    assert max(map(len, result.stdout.splitlines()[2:9])) <= 80


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--explain", "cat.yaml"], "CONFIG: --explain measures nothing"),
        (["--explain", "--seconds", "3"], "--seconds: --explain measures nothing"),
        (["--explain", "--set", "train.seed=1"], "--set: --explain measures nothing"),
        (["absent.yaml"], "absent.yaml: no such file"),
        (["--set", "model.hidden_sise=8"], "did you mean 'model.hidden_size'"),
        (["--seconds", "-1"], "--seconds"),
        (["--threads", "0"], "--threads"),
    ],
)
def test_a_wrong_option_ends_with_2_and_measures_nothing(arguments: list[str], why: str) -> None:
    program = [sys.executable, "-m", "charseq", "bench", *arguments]
    ended = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert why in " ".join(ended.stderr.replace("│", " ").split())


def test_a_text_that_is_too_short_is_an_error_as_in_training() -> None:
    Path("short.txt").write_text("abc" * 9)
    Path("short.yaml").write_text("data: {text: short.txt}\n")
    with pytest.raises(CharseqError, match="too few for one batch"):
        run("short.yaml", *SMALL)


def trained(*settings: str) -> str:
    """What ``charseq train`` prints, of two steps."""
    Path("cat.txt").write_text("the cat sat on the mat. " * 60)
    Path("cat.yaml").write_text(
        "data: {text: cat.txt}\nmodel: {hidden_size: 4}\n"
        "train: {batch_size: 2, seq_len: 4, max_steps: 2}\n"
    )
    options = [word for setting in settings for word in ("--set", setting)]
    arguments = ["train", "cat.yaml", "--device", "cpu", *options]
    result = CliRunner().invoke(charseq, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_a_training_without_a_compiler_says_so_once(no_compiler: None) -> None:
    lines = [line for line in trained().splitlines() if "fused" in line]
    assert lines == [f"backend manual is used; fused, which is faster, is missing: {NO_COMPILER}"]


def test_a_training_whose_backend_was_chosen_says_nothing(no_compiler: None) -> None:
    assert "fused" not in trained("model.backend=manual")


@pytest.mark.kernel
def test_a_training_with_the_kernel_says_nothing() -> None:
    output = trained()
    assert "backend fused," in output
    assert "missing" not in output


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys, charseq.cli.bench; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
