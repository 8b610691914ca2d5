"""How blends are read: a share of a class mean, the rest of all images. By the CNN and by the
nearest class mean, share of classes that are right: python docs/blends.py runs DATA_ROOT"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from grokmodel.data.load import load_bank
from grokmodel.image.config import TrialConfig
from grokmodel.image.decoder import MeanDecoder
from grokmodel.image.pack import bank_key
from service.data.decoders import get_decoder
from service.settings import load_settings
from service.store.store import Store

SHARES = (1.0, 0.8, 0.6, 0.4)
BANKS = (
    TrialConfig(P=31, N=256, batch=2048),
    TrialConfig(data="emnist", alphabet="distinct", P=23, N=256, batch=2048),
)

folder, data_root = [*sys.argv[1:], ""][:2]
store = Store(load_settings(folder))
print(f"| images | P | read by | {' | '.join(f'{share:g}' for share in SHARES)} |")
print("|---" * (3 + len(SHARES)) + "|")
for config in BANKS if data_root else BANKS[:1]:
    key = bank_key(config)
    bank = load_bank(*key, root=data_root)
    mean = torch.from_numpy(bank.images).mean(1)
    for name, decoder in (("CNN", get_decoder(store, key, bank)), ("mean", MeanDecoder(bank))):
        cells = []
        for share in SHARES:
            found = decoder.classify(share * mean + (1 - share) * mean.mean(0))
            cells.append(f"{(found == torch.arange(config.P)).float().mean():.2f}")
        print(f"| {config.data} | {config.P} | {name} | {' | '.join(cells)} |")
