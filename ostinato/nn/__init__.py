"""Drop-in RNN, LSTM and GRU with torch.nn's signatures and weights, and `convert`, which swaps them into a model."""

from ostinato.nn.conversion import Conversion, convert
from ostinato.nn.gru import GRU
from ostinato.nn.lstm import LSTM
from ostinato.nn.rnn import RNN

__all__ = ["GRU", "LSTM", "RNN", "Conversion", "convert"]
