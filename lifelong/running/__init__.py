"""Many runs: a process for each, in the order of a plan."""
