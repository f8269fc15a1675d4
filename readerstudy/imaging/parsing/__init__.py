"""Reading what was uploaded. Runs in a child process with little memory, time and environment.

Nothing in here imports Django: the child holds no settings, no database and no storage.
"""
