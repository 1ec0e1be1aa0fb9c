"""The strategies of the suite, a file for each family; every decorated function is on `lifelong list strategies`."""
