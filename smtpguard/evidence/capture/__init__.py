"""A packet capture -> the SMTP connections in it, in one pass, with memory that does not grow with the file.

capture      the whole way, from file to connections
files        pcap and pcapng -> frames
gzipped      a stream through gzip, up to where it is cut
layers       frame -> TCP segment
flow         one side of a connection put together again
reassembly   one connection, in causal order
connections  all of a capture at once
"""
