"""The strategies of the suite: a folder for each family, or a file where there is no machinery.

The functions in a family's `__init__.py` are the strategies. The files beside it hold the machinery, which is imported
when a strategy is built. `lifelong list strategies` shows every decorated function.
"""
