"""What ``rtt discriminator train`` needs to know beside DiscriminatorConfig."""

from __future__ import annotations

from dataclasses import dataclass, field

from rtt.errors import ConfigurationError


@dataclass
class ExampleFiles:
    """The example files, and what of them is held out."""

    examples: list[str] = field(metadata={"help": "Example files, or label files of your own; read one after another."})
    label_tokenizer: str | None = field(
        default=None,
        metadata={"help": "Tokenizer (folder or hub id) that files with token_labels were made with."},
    )
    held_out_kinds: list[str] = field(
        default_factory=list, metadata={"help": "Kinds of criteria that are never trained on, such as 'startend:*'."}
    )
    held_out_prompts: float = field(default=0.1, metadata={"help": "Share of the prompts that are never trained on."})
    held_out_wordings: float = field(
        default=0.15, metadata={"help": "Share of the wordings of criteria that are never trained on."}
    )
    validation_prompts: float = field(
        default=0.05, metadata={"help": "Share of the prompts that calibration and threshold are chosen on."}
    )

    def __post_init__(self) -> None:
        for name in ("examples", "held_out_kinds"):
            value = getattr(self, name)
            if isinstance(value, str):  # a config file may name one without a list around it
                setattr(self, name, [value])
            elif not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
                raise ConfigurationError(f"{name}: got {value!r}; expected a text, or a list of texts")
        if not self.examples:
            raise ConfigurationError("examples: is empty; expected an example file, or a list of them")

    def held_out(self) -> dict[str, object]:
        """What was held out, as `rtt discriminator evaluate` reads it from the checkpoint."""
        return {
            "held_out_kinds": self.held_out_kinds,
            "held_out_prompts": self.held_out_prompts,
            "held_out_wordings": self.held_out_wordings,
            "validation_prompts": self.validation_prompts,
        }
