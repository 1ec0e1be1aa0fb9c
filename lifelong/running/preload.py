"""What the server that forks the runs loads beforehand, so that a run starts at once.

Only `multiprocessing`'s fork server imports this file. One tiny step of training makes torch import here, once, what it
would otherwise import at the first step of every run. No thread may be left running when a process is forked.
"""

from __future__ import annotations

import gc
import os
import warnings

import torch
import torchvision.datasets  # noqa: F401
from torch import nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import sklearn.datasets  # noqa: F401
    from avalanche.training.supervised import Naive  # noqa: F401

    from lifelong.measures.capacity import measure
    from lifelong.models import models
    from lifelong.records.provenance import provenance
    from lifelong.registry import scenarios, strategies
    from lifelong.running import worker  # noqa: F401
    from lifelong.training import checkpoint  # noqa: F401

torch.set_num_threads(1)
_model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
for _optimizer in (torch.optim.SGD(_model.parameters(), 0.1), torch.optim.Adam(_model.parameters(), fused=True)):
    _optimizer.zero_grad()
    torch.autograd.backward(nn.functional.cross_entropy(_model(torch.zeros(1, 2)), torch.zeros(1, dtype=torch.int64)))
    _optimizer.step()
measure(_model, torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64))
provenance("cpu")
scenarios.all()
strategies.all()
models.all()
gc.freeze()

# When the server ends, it would print what triton's bindings leak. Its children have logs of their own.
_nowhere = os.open(os.devnull, os.O_WRONLY)
os.dup2(_nowhere, 2)
os.close(_nowhere)
