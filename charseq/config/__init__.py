"""Settings: what there is (``schema``), and how a YAML file becomes them (``load``)."""

from charseq.config.load import config_from_json, config_to_json, dump_config, load_config
from charseq.config.schema import Config

__all__ = ["Config", "config_from_json", "config_to_json", "dump_config", "load_config"]
