"""The built-in networks: each makes a feature extractor, to which the suite adds the head.

Torch and Avalanche are imported when a network is built, so that listing the models costs nothing.
"""
