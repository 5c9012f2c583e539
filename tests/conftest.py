"""Settings of every test: small models gain nothing from a second thread; times vary."""

import hypothesis
import torch

torch.set_num_threads(1)
hypothesis.settings.register_profile("charseq", deadline=None)
hypothesis.settings.load_profile("charseq")
