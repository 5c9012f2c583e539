"""The heart of charseq: one LSTM, written out, differentiated by hand, and proved."""
