"""Faults put into a small study: after each of them it ends in the result of an undisturbed run, or with a message that says what to do.

`make faults`, or `python -m tests.faults --seed S --count N [--kind K]`.
"""
