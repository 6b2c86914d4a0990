"""A report as one HTML page, without a script.

page         the whole, from the template
charts       drawings, as SVG
palette      colours for light and dark
stretches    hours -> stretches that fit an axis
tables       beside every drawing
host         the drill-down of one host
transcript   its marked session
"""
