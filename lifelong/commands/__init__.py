"""The commands of the command line, a file for each. They import what is heavy only when they are called."""
