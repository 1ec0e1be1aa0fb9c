"""What can be told from records: intervals, rankings, comparisons, fronts."""
