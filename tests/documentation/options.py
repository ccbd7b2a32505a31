"""The options that configuration files may hold."""

from __future__ import annotations

from functools import cache


@cache
def configuration_options(command: str) -> set[str]:
    """The options of a command that reads a configuration file and takes ``--key value`` on top of it."""
    from rtt.cli.discriminator.train import _kinds as of_discriminator
    from rtt.cli.options import option_parser
    from rtt.cli.train import _kinds as of_training

    parser = option_parser(of_training() if command == "rtt train" else of_discriminator(), command=command)
    return {flag for action in parser._actions for flag in action.option_strings}
