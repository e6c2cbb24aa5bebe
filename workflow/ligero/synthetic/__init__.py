"""Generator of the embedded study: Spanish of our own making, in the file formats of the published data sets.

Standard library only. ``study.generate`` writes everything; ``files.FILES`` names what it writes.
"""
