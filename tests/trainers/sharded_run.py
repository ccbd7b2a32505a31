"""``rtt train`` by processes of gloo that share the weights out, with accelerate's own FSDP and DeepSpeed.

    accelerate launch --config_file FSDP_OR_DEEPSPEED.yaml --num_processes 2 sharded_run.py train CONFIG ...

accelerate keeps both for accelerators. The one stand-in: it is told that the CPU is one, of a kind that has no code of
its own here. The rest is what runs on GPUs.
"""

from __future__ import annotations

import torch
from accelerate.state import PartialState
from accelerate.utils import DistributedType

from rtt.cli import cli


def _backend(*_: object, **__: object) -> tuple[str, DistributedType]:
    return "gloo", DistributedType.MULTI_XPU


def _set_device(state: PartialState) -> None:
    state.device = torch.device("cpu")


if __name__ == "__main__":
    PartialState._prepare_backend = _backend
    PartialState.set_device = _set_device
    cli.main(prog_name="rtt", standalone_mode=False)
