"""What the figures in the documentation come from: one package an experiment, one command each."""
