"""What answers over HTTP for one package: limits, batches, metrics, and the process around them.

Lives here: all that imports fastapi, uvicorn and prometheus_client (the extra ``serve``), inside
functions. May not live here: keys, plans, plain images, and anything that writes, logs or keeps
what clients send.
"""
