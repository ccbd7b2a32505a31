"""What holds for every test: no network beyond this machine, reproducible examples, quiet libraries."""

from __future__ import annotations

import os
import signal

# Before anything imports them: the model hub is never asked, and nothing reports home.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.pop("RTT_DEBUG", None)

from hypothesis import HealthCheck, settings

# Shared machines are slow at times: a deadline would make tests fail for no fault of the code.
settings.register_profile("rtt", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("rtt")

# Where tests run in the background a shell may have them ignore Ctrl-C, which some send to themselves or to children.
signal.signal(signal.SIGINT, signal.default_int_handler)
