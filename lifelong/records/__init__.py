"""What a run leaves: its specification, its record, the folder of records, and files in which they are published."""
