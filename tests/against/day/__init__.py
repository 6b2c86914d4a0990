"""A day of mixed traffic: thousands of sessions of fifteen hosts at the real guard before the real Postfix.

    python -m tests.against.day --sessions 5000 --out DIR [--capture] [--spread] [--verify]

What each session will be found guilty of is written by hand beside its octets, from the catalogue of rules and from
nothing else (`kinds`, `kinds_bad`, `programs`). The sessions are drawn from a seed (`hosts`, `truth`), and
`DIR/truth.json` is on the disk before the first octet is sent; the engine is never asked. Then they are played
(`players`, `programs`), and all that was recorded is compared with the truth, session by session (`verify`, `verbs`).
"""
