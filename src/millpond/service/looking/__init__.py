"""
Looking at what the store holds, for people: the commands of a terminal, the console.

Nothing here changes anything but `erasure`. Every list is a page: it begins behind a
position, reads hardly more rows than it shows, and says where the next one begins. Ids
may be given by their beginning, in capitals, and without the region.
"""
