"""What ``--over`` makes of a configuration: each combination once, or draws; all mistakes first."""

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charseq.config.grid import Planned, base_settings, plan
from charseq.errors import ConfigError

RATE, DROPOUT = "train.learning_rate", "model.dropout"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("grid") / "cat.yaml"
    path.write_text("data: {text: cat.txt}\nmodel: {num_layers: 2}\ntrain: {seed: 5}\n")
    return path


def tried(planned: list[Planned]) -> list[tuple[float, float, int]]:
    return [(p.config.train.learning_rate, p.config.model.dropout, p.seed) for p in planned]


def refusal(config: Path, *over: str, draws: int | None = None, seeds: int = 1) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        plan(config, (), over, draws=draws, seeds=seeds)
    return caught.value.problems


def test_a_grid_is_every_combination_with_each_seed_in_turn(config: Path) -> None:
    planned = plan(
        config, ["model.num_layers=3"], [f"{RATE}=1e-3,3e-3", f"{DROPOUT}=0,.2"], seeds=2
    )
    four = [(1e-3, 0.0), (1e-3, 0.2), (3e-3, 0.0), (3e-3, 0.2)]
    assert tried(planned) == [(*pair, seed) for seed in (5, 6) for pair in four]
    assert {one.config.model.num_layers for one in planned} == {3}
    assert planned[1].name == planned[5].name == "learning_rate=0.001,dropout=0.2"


def test_a_value_said_twice_in_two_ways_is_one(config: Path) -> None:
    assert [one.name for one in plan(config, (), [f"{RATE}=1e-3,0.001,1.0e-3"])] == [
        "learning_rate=0.001"
    ]


def test_blanks_in_a_key_are_no_part_of_it(config: Path) -> None:
    [one] = plan(config, (), ["train . learning_rate = 1e-3"])
    assert one.config.train.learning_rate == 1e-3


def test_without_anything_to_try_there_are_the_seeds(config: Path) -> None:
    assert [(one.name, one.seed) for one in plan(config, seeds=3)] == [("", 5), ("", 6), ("", 7)]


def test_commas_in_brackets_and_quotes_do_not_part_values(config: Path) -> None:
    planned = plan(config, (), ["data.split=[0.9,0.1,0],[0.8,0.2,0]", 'data.text="a,b/c",d'])
    assert [(p.config.data.split[0], getattr(p.config.data, "text")) for p in planned] == [  # noqa: B009
        (0.9, "a,b/c"),
        (0.9, "d"),
        (0.8, "a,b/c"),
        (0.8, "d"),
    ]
    names = [one.name for one in planned]
    assert len(set(names)) == 4
    assert not any("/" in name or " " in name for name in names)


@settings(max_examples=25)  # each reads the file dozens of times
@given(
    seed=st.integers(0, 10**6), low=st.integers(-8, -2), span=st.integers(1, 5), n=st.integers(1, 6)
)
def test_draws_lie_in_their_range_and_more_of_them_begin_with_the_same(
    config: Path, seed: int, low: int, span: int, n: int
) -> None:
    over = [
        f"{RATE}=1e{low}..1e{min(low + span, 0)}",
        f"{DROPOUT}=0..0.5",
        "model.hidden_size=7..9",
    ]
    few = plan(config, (), over, draws=n, draw_seed=seed)
    many = plan(config, (), over, draws=n + 2, draw_seed=seed)
    assert len(few) == n
    assert few == many[:n]
    for one in many:
        assert 10.0**low <= one.config.train.learning_rate <= 10.0 ** min(low + span, 0)
        assert 0.0 <= one.config.model.dropout <= 0.5
        assert one.config.model.hidden_size in (7, 8, 9)


def test_a_wide_range_is_drawn_from_on_a_logarithmic_scale_and_a_narrow_one_evenly(
    config: Path,
) -> None:
    wide = plan(config, (), [f"{RATE}=1e-5..1e-1"], draws=400)
    decades = [math.floor(math.log10(one.config.train.learning_rate)) for one in wide]
    for decade in (-5, -4, -3, -2):
        assert 70 < decades.count(decade) < 130  # 100 on a logarithmic scale; evenly: 0, 0, 4, 36
    narrow = plan(config, (), [f"{RATE}=0.1..0.9"], draws=300)  # of 801 numbers with three digits
    assert 120 < sum(one.config.train.learning_rate < 0.5 for one in narrow) < 180


def test_what_can_be_drawn_once_is_drawn_once(config: Path) -> None:
    planned = plan(config, (), [f"{DROPOUT}=0,0.1,0.2", "model.num_layers=1,2"], draws=50)
    assert len(planned) == len({one.name for one in planned}) == 6


def test_a_drawn_combination_that_cannot_be_is_drawn_anew(config: Path) -> None:
    over = [f"{RATE}=1e-3..1", "train.final_learning_rate=1e-3..1"]
    for one in plan(config, (), over, draws=30):
        assert one.config.train.final_learning_rate <= one.config.train.learning_rate


def test_all_mistakes_are_told_as_set_tells_them(config: Path) -> None:
    problems = refusal(config, "train.learning_rat=1,2", f"{DROPOUT}=0.1,3,x", "train=1")
    assert sorted(problems) == [
        f"--over {DROPOUT}=3: {DROPOUT}: must be below 1, found 3",
        f"--over {DROPOUT}=x: {DROPOUT}: expected a number, found the text 'x'",
        "--over train.learning_rat=1: train.learning_rat: unknown key (did you mean"
        " 'train.learning_rate'?)",
        "--over train=1: train: is a section; set one of its settings, as in --over"
        " train.batch_size=…",
    ]


def test_a_combination_that_cannot_be_is_found_though_each_value_could(config: Path) -> None:
    problems = refusal(config, f"{RATE}=1e-2,1e-4", "train.final_learning_rate=0,1e-3")
    assert problems == [
        "--over train.final_learning_rate=1e-3: train.final_learning_rate: is above learning_rate"
    ]


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ("model.dropout", "expected key=value,value"),
        ("model.dropout=", "expected key=value,value"),
        ("model.dropout=0.1,,0.2", "expected key=value,value"),
        ("=1", "expected key=value,value"),
        (f"{RATE}=1e-4..1e-2", "say how often with --random"),
        (f"{RATE}=1e-2..1e-4", "from a lower to a higher number"),
        (f"{RATE}=1e-4..1e-2,1", "a range stands alone"),
        ("train.log_every=" + ",".join(map(str, range(1, 10_002))), "10,001 runs"),
    ],
)
def test_what_is_no_list_of_values_is_told(config: Path, over: str, said: str) -> None:
    assert said in refusal(config, over)[0]


def test_too_many_runs_are_refused_before_their_values_are_looked_at(config: Path) -> None:
    """Which would take half a minute of many; ``--random`` is no advice to who gave it."""
    every = ",".join(["x", *map(str, range(10_000))])
    assert refusal(config, f"train.log_every={every}") == [
        "--over: these are 10,001 runs; try fewer values, or draw some: --random"
    ]
    assert refusal(config, f"{RATE}=1e-4..1e-2", draws=6_000, seeds=2) == [
        "--over: these are 12,000 runs; draw fewer"
    ]


def test_the_ends_of_a_range_must_be_values_of_the_setting(config: Path) -> None:
    problems = refusal(config, f"{DROPOUT}=0.5..2", draws=3)
    assert problems == [f"--over {DROPOUT}=2: {DROPOUT}: must be below 1, found 2"]


def test_a_setting_twice_and_seeds_in_two_ways_are_refused(config: Path) -> None:
    assert "given twice" in refusal(config, f"{DROPOUT}=0.1", f"{DROPOUT}=0.2")[0]
    assert "--seeds" in refusal(config, "train.seed=1,2", seeds=2)[0]


def test_draws_of_nothing_are_refused(config: Path) -> None:
    with pytest.raises(ConfigError, match="--random: there is nothing to draw; give values or ran"):
        plan(config, (), (), draws=2)


def test_what_runs_share_leaves_out_what_is_tried(config: Path) -> None:
    over = [f"{RATE}=1e-3,3e-3"]
    shared = base_settings(plan(config, (), over, seeds=2), over)
    assert shared["model.num_layers"] == 2
    assert not {RATE, "train.seed"} & shared.keys()
