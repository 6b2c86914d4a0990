"""The letter to the postmaster of a sending host.

case         the figures, and the session that shows it
letter       case -> subject, body, transcript
transcript   what of a session may leave the house
mail         letter -> the message as a file, with XARF
lookup       whose host it is: DNS, and registries if asked
"""
