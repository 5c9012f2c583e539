"""Train on a disk that is full or read-only: a small tmpfs, in a mount namespace of its own.

Where mounts are not allowed, as in many containers, that is said and nothing else is done; there
the tests try the same with a limit to the size of files.

    unshare --mount python torture_disks.py CONFIG FOLDER     # what ``disks`` starts
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

NOT_ALLOWED = "not done: mounts are not allowed here"
STEPS = 60  # ten saves


def disks(config: Path, folder: Path) -> list[dict[str, Any]]:
    """What became of each training, or one row that says that none was tried."""
    # Whoever is not root may be it in a namespace of users.
    options = ["--mount"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--mount"]
    try:
        probe = ["unshare", *options, "mount", "-t", "tmpfs", "none", str(folder)]
        allowed = subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:  # no util-linux
        allowed = False
    if not allowed:
        return [{"what": NOT_ALLOWED, "ok": True}]
    told = folder.with_suffix(".json")
    command = ["unshare", *options, sys.executable, __file__, str(config), str(folder), str(told)]
    subprocess.run(command, check=True)
    found: list[dict[str, Any]] = json.loads(told.read_text())
    return found


def torture(config: Path, folder: Path) -> list[dict[str, Any]]:
    """In the namespace. Fill the disk in the middle of a training, make room, go on."""
    from torture_kills import contents

    from charseq.config import load_config
    from charseq.training.loop import train

    undisturbed = folder.with_name("undisturbed")
    list(train(load_config(config, [f"train.max_steps={STEPS}"]), run=undisturbed, device="cpu"))
    wanted = contents(undisturbed)
    sizes = {path.name: path.stat().st_size for path in undisturbed.iterdir()}
    # Room for the first checkpoints and all of the log, but not for a second one beside them
    first, page = sizes["last.safetensors"] + sizes["best.safetensors"], 4096
    small = (first + sizes["metrics.jsonl"] + sizes["last.safetensors"] // 2) // page * page
    mount(folder, "size=1g")
    rows = []
    for policy in ("stop", "continue"):
        run = folder / policy
        mount(folder, f"remount,size={small}")
        row = train_on_a_full_disk(config, run, policy, lambda: mount(folder, "remount,size=1g"))
        same = contents(run) == wanted
        row |= {"as_undisturbed": same, "left_behind": len(list(run.glob(".*.tmp")))}
        rows.append({**row, "ok": row["ok"] and same and row["left_behind"] == 0})
        for path in run.iterdir():
            path.unlink()
    rows.append(read_only(config, folder))
    return rows


def train_on_a_full_disk(config: Path, run: Path, policy: str, make_room: Any) -> dict[str, Any]:
    """Until the end; the room is made after the first failures."""
    from charseq.config import load_config
    from charseq.errors import SaveError
    from charseq.models.checkpoint_file import read_file
    from charseq.training.events import SaveFailed
    from charseq.training.loop import train

    settings = load_config(config, [f"train.max_steps={STEPS}", f"train.on_save_error={policy}"])
    failed, told, whole = 0, True, True
    try:
        for event in train(settings, run=run, device="cpu"):
            if isinstance(event, SaveFailed):
                failed += 1
                told = told and "No space left on device" in event.why
                if failed == 3:
                    make_room()
    except SaveError as error:
        failed += 1
        told = "No space left on device" in str(error) and error.exit_code == 2
        whole = all(read_file(path) is not None for path in run.glob("*.safetensors"))
        make_room()
        list(train(settings, run=run, resume=True, device="cpu"))
    ok = told and whole and failed == {"stop": 1, "continue": 3}[policy]
    return {"what": f"full disk, on_save_error: {policy}", "saves_failed": failed, "ok": ok}


def read_only(config: Path, folder: Path) -> dict[str, Any]:
    """A finished run on a disk that cannot be written: it is not gone on with, and still read."""
    from charseq.config import load_config
    from charseq.errors import CharseqError
    from charseq.inference.load import load
    from charseq.training.loop import train

    run = folder / "read-only"
    settings = load_config(config, ["train.max_steps=12", "train.eval_every=6"])
    list(train(settings, run=run, device="cpu"))
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    mount(folder, "remount,ro")
    refused = 0
    for target in (run, folder / "new"):
        try:
            list(train(settings, run=target, resume=True, device="cpu"))
        except CharseqError as error:
            refused += "Read-only file system" in str(error)
    same = before == {path.name: path.read_bytes() for path in run.iterdir()}
    ok = refused == 2 and same and load(run) is not None
    return {"what": "read-only disk", "saves_failed": refused, "left_behind": 0, "ok": ok}


def mount(folder: Path, options: str) -> None:
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    Path(sys.argv[3]).write_text(json.dumps(torture(Path(sys.argv[1]), Path(sys.argv[2]))))
