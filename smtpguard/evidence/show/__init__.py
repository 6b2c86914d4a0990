"""One session, told.

tale         findings and transcript joined
styles       in three hands: plain, swaks, gateway
search       which session is meant
"""
