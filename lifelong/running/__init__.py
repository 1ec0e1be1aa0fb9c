"""Planning runs, running one, running many, and the records that they leave."""
