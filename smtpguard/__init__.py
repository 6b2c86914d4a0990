"""A gateway that answers SMTP commands out of order itself and relays the rest, octet for octet.

The rooms, each a floor above the next: `cli` > `demo` > `service` > `net` | `evidence` > `record` > `config` > `smtp`.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
