"""What a run leaves: its specification, its record, the folder of records, and the files in which they are published.

Read `spec` first (what a run is), then `record` and `entries` (what it leaves), `store` (where), `metrics` (the numbers
that a run is ranked by), and `published`, `sources` and `merge` (records from elsewhere).
"""
