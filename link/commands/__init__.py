"""The commands of ``link-avvp``, by what they are about. `link.cli` puts them together."""
