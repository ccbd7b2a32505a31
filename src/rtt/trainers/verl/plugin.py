"""verl's plugin: whoever imports one of verl's two registries finds RTT's class in it.

``import verl`` loads this module by its entry point, in every process. It imports nothing of verl: the reward manager
and the trainer follow when verl imports the registry that they belong in. A plugin that fails is logged by verl where
nobody looks; an error in one of these two imports is raised instead, by the import of the registry.
"""

from __future__ import annotations

import importlib
import logging

try:
    import wrapt
except ImportError:
    logging.getLogger(__name__).error(
        "RTT's plugin for verl needs the package 'wrapt'; install what it needs with: "
        "pip install 'rubrics-to-tokens[verl]'"
    )
    raise


REGISTRIES = {
    "verl.experimental.reward_loop.reward_manager": "rtt.trainers.verl.rewards",
    "verl.trainer.ppo.v1": "rtt.trainers.verl.trainer",
}
"""verl's modules with a registry, and ours that registers a class there when it is imported."""

for registry, module in REGISTRIES.items():
    wrapt.register_post_import_hook(lambda _, module=module: importlib.import_module(module), registry)
