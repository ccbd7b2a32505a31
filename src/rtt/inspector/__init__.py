"""The inspector: records and a run's log as one HTML file, and alarms about them.

    runs.py      folders and files  ->  Run: where its records lie, its metrics by step
    pieces.py    a response         ->  the text of each token; together they are the response
    page.py      runs               ->  one file that opens from disk and asks the network for nothing
    page/        what the file is made of: page.html, page.css, page.js, and uPlot for the curves
    alarms.py    records, metrics   ->  Alarm: what looks wrong, and what to do

Nothing here imports torch.
"""
