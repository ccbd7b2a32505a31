"""``python -m rtt``: the same as the ``rtt`` command, for launchers such as ``accelerate launch -m rtt train``."""

from rtt.cli import main

if __name__ == "__main__":
    main()
