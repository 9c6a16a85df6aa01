"""The gateway's verbs for Python programs, on this machine or another.

::

    from workbench.client import Client

    with Client("http://127.0.0.1:8765", token) as client:
        job = client.backtests.run("studies/ema-cross.yaml", params={"fast": 20})
        run = client.jobs.wait(job["job_id"])["result"]
        for event in client.events(types=["order"]):
            print(event["node"], event["seq"], event["type"])

It needs nothing of the workbench but its errors: a program that only trades through a gateway loads
neither the engine nor pandas.
"""

from workbench.client.client import Client
from workbench.client.transport import GatewayError

__all__ = ["Client", "GatewayError"]
