"""LINK: audio-visual video parsing from video-level labels.

Given a video and only the names of the events somewhere in it to learn from, say for every second
which events are audible, which are visible and which are both. The package implements LINK
(Learning Interaction method for Non-aligned Knowledge, arXiv 2412.20872) on top of VALOR++'s
hybrid attention network, with the data, losses, metrics and simulated benchmark around it.

Import the modules by name, for example ``from link.metrics import parsing_scores``. Reading them
in the order of the book's chapters is reading the method.
"""

__version__ = "0.1.0"
