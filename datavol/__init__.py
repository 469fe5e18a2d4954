"""How much training data is enough, and what would more of it buy?"""

__version__ = "0.1.0"
