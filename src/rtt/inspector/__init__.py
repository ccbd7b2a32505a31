"""Looking into a run: its records as a page, and the alarms that they raise."""
