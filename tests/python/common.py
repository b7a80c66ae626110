"""What the tests share: a small host with two SR-IOV cards, its rules, and who holds the interpreter lock."""

import sys
import threading
import time

PF_A, PF_B = "0000:81:00.0", "0000:82:00.0"
VFS_A = [f"0000:81:00.{n}" for n in (2, 3, 4, 5)]
RULES = [{"vendor_id": "15b3", "physical_network": "blue"}]
NIC = [{"alternatives": [{"vendor_id": "15b3", "dev_type": "type-VF"}]}]
TOPOLOGY = {"cells": [{"id": 0, "socket": 0}, {"id": 1, "socket": 1}]}


def device(address, product_id="1017", **more):
    return {"address": address, "vendor_id": "15b3", "product_id": product_id, "numa_node": 0, **more}


def devices():
    """Two PFs, the first with four VFs."""
    functions = [device(PF_A, dev_type="type-PF"), device(PF_B, dev_type="type-PF", numa_node=1)]
    for number, address in enumerate(VFS_A):
        functions.append(device(address, "1018", dev_type="type-VF", parent_addr=PF_A, vf_num=number))
    return functions


def lets_others_run(call):
    """Whether another thread gets to run Python code while this one makes a call, again and again if it is short.

    With so long an interval no thread loses the interpreter lock unless it gives it up itself.
    """
    begun, ran = threading.Event(), threading.Event()

    def run():
        begun.wait()
        ran.set()

    other = threading.Thread(target=run)
    other.start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        begun.set()
        # A short call may be over before the other thread is awake.
        deadline = time.monotonic() + 20
        while not ran.is_set() and time.monotonic() < deadline:
            call()
        seen = ran.is_set()
    finally:
        sys.setswitchinterval(interval)
    other.join()
    return seen
