"""Engines: where relevance, verifiers and credit meet a training loop. :mod:`rtt.trainers.trl` is TRL's."""
