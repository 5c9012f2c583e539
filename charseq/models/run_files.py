"""What the files of a run folder, and of a sweep's, are called. No torch."""

CONFIG = "config.yaml"
LOG = "metrics.jsonl"
BEST, LAST, PREVIOUS = (f"{name}.safetensors" for name in ("best", "last", "previous"))
NEWEST = (LAST, PREVIOUS)  # what resuming goes on from
SWEEP = "sweep.json"
