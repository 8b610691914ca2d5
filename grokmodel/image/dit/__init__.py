"""One trial as an ordinary `torch.nn.Module`, without a member axis: to be hooked, sampled from,
changed, saved as a folder and read again. It gives what the pack gives for the same weights.

Uses: image, data, core. Used by: the service.
"""

from grokmodel.image.dit.files import ModelError
from grokmodel.image.dit.model import DiT
from grokmodel.image.dit.symbols import Symbols

__all__ = ["DiT", "ModelError", "Symbols"]
