"""The scenarios of the suite, a file for each data family. `lifelong list scenarios` shows them."""
