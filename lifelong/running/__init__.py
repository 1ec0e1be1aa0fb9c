"""Many runs: each in a process of its own, in the order of a plan."""
