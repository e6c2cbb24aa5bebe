"""What every layer may use: errors, atomic files, digests, progress. Imports nothing of ours and nothing heavy."""
