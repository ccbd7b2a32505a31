"""Stand-ins with which verl trains on a CPU; verl imports them by VERL_USE_EXTERNAL_MODULES=verl_on_a_cpu.

verl's platforms are accelerators, and it samples by servers that need one. What is replaced, and nothing else:

- the platform: a CPU, which Ray is told to count as a GPU, because verl counts them before it starts;
- the server: a process that samples with transformers, token by token. It gets the policy's weights as any of verl's
  servers does, by ``update_weights`` of the rollout inside the training processes;
- the backend of the process group: verl asks for gloo on the CPU and the platform's own, here the same device twice.

Sampling repeats: the seed is made of the number of the weights, the prompt, and how often that was asked with these
weights. Where ``VERL_ON_A_CPU_SAMPLES`` names a file, each sample is added to it as a line of JSON.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import zlib
from collections import Counter
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import ray
import torch
import verl.utils.distributed
from transformers import AutoModelForCausalLM
from verl.plugin.platform import PlatformBase, PlatformRegistry
from verl.workers.rollout import base
from verl.workers.rollout.base import BaseRollout
from verl.workers.rollout.replica import RolloutReplica, RolloutReplicaRegistry, TokenOutput

NAME = "cpu"
SERVER = "cpu_server_{}"


class _Device(ModuleType):
    """torch.cpu, with what verl asks of an accelerator's memory."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch.cpu, name)

    def is_available(self) -> bool:
        return False

    def empty_cache(self) -> None:
        pass

    def memory_allocated(self) -> int:
        return 0

    memory_reserved = max_memory_allocated = max_memory_reserved = memory_allocated

    def mem_get_info(self) -> tuple[int, int]:
        return 0, 0

    def get_device_name(self) -> str:
        return NAME

    def set_rng_state(self, state: torch.Tensor) -> None:
        torch.set_rng_state(state)


@PlatformRegistry.register(NAME)
class CPU(PlatformBase):
    """A CPU as verl's accelerator."""

    device_name = vendor_name = NAME
    device_module = _Device(NAME)

    def is_available(self) -> bool:
        return True

    def current_device(self) -> str:
        return NAME

    def device_count(self) -> int:
        return 1

    def get_device_capability(self, device_index: int = 0) -> tuple[None, None]:
        return None, None

    def communication_backend_name(self) -> str:
        return "gloo"

    def visible_devices_envvar(self) -> str:
        return "CUDA_VISIBLE_DEVICES"

    def ray_resource_name(self) -> str:
        return "GPU"

    def ray_noset_envvars(self) -> list[str]:
        return []

    def is_ipc_supported(self) -> bool:
        return False

    @contextlib.contextmanager
    def nvtx_range(self, msg: str) -> Iterator[None]:
        yield

    def _nothing(self, *_: Any) -> None:
        pass

    set_device = synchronize = manual_seed = manual_seed_all = set_allocator_settings = _nothing
    empty_cache = profiler_start = profiler_stop = cudart = _nothing


class Sampler:
    """The server: a copy of the policy, and how often each prompt was answered with its present weights."""

    def __init__(self, model: str, length: int) -> None:
        self.model = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
        self.length = length
        self.step = -1
        self.asked: Counter[tuple[int, ...]] = Counter()

    def load(self, weights: dict[str, torch.Tensor], step: int) -> None:
        self.model.load_state_dict(weights)
        self.step, self.asked = step, Counter()

    @torch.no_grad()
    def generate(
        self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any], **_: Any
    ) -> TokenOutput:
        key = tuple(prompt_ids)
        random = torch.Generator().manual_seed(zlib.crc32(repr((self.step, key, self.asked[key])).encode()))
        self.asked[key] += 1
        end = self.model.generation_config.eos_token_id
        ids: list[int] = []
        log_probs: list[float] = []
        while len(ids) < self.length and end not in ids[-1:]:
            logits = self.model(torch.tensor([[*prompt_ids, *ids]])).logits[0, -1]
            greedy = sampling_params["temperature"] == 0
            scaled = torch.log_softmax(logits if greedy else logits / sampling_params["temperature"], dim=-1)
            ids.append(int(scaled.argmax() if greedy else torch.multinomial(scaled.exp(), 1, generator=random)))
            log_probs.append(float(scaled[ids[-1]]))
        if file := os.environ.get("VERL_ON_A_CPU_SAMPLES"):
            line = {"weights_of_step": self.step, "prompt": prompt_ids, "response": ids, "log_probs": log_probs}
            with open(file, "a", encoding="utf-8") as samples:
                print(json.dumps(line), file=samples)
        return TokenOutput(token_ids=ids, log_probs=log_probs, extra_fields={"global_steps": self.step})

    def sleep(self) -> None:
        pass


class Replica(RolloutReplica):
    """One server beside one training worker."""

    async def launch_servers(self) -> None:
        name = SERVER.format(self.replica_rank)
        self._server_handle = (
            ray.remote(Sampler).options(name=name).remote(self.model_config.path, self.config.response_length)
        )
        self._server_address = name
        self.servers = [self._server_handle]


class Rollout(BaseRollout):
    """What stands in the training worker and hands the weights over."""

    async def update_weights(self, weights: Any, global_steps: int | None = None, **_: Any) -> None:
        state = {name: tensor.detach().float().clone() for name, tensor in weights}  # all processes: verl gathers them
        replica, place = divmod(int(os.environ["RANK"]), self.config.tensor_model_parallel_size)
        if place == 0:
            await ray.get_actor(SERVER.format(replica)).load.remote(state, global_steps)

    async def resume(self, tags: list[str]) -> None:
        pass

    async def release(self) -> None:
        pass


RolloutReplicaRegistry.register(NAME, lambda: Replica)
base._ROLLOUT_REGISTRY[NAME, "async"] = f"{__name__}.Rollout"
verl.utils.distributed.initialize_global_process_group_ray = functools.partial(
    verl.utils.distributed.initialize_global_process_group_ray, backend="gloo"
)
