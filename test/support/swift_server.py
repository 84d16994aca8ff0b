"""OpenStack Swift in one process on 127.0.0.1: account, container and object server and the proxy with its S3 API.

    python3 swift_server.py FOLDER PORT ACCESS SECRET

Only Debian's python3-swift is needed: no memcached, no daemon, no file outside FOLDER, which must be on a file
system with extended attributes. Prints "ready" when it listens. Modelled on what Swift's own functional tests do
in process (test/functional/__init__.py).
"""

import os
import sys

import eventlet

eventlet.monkey_patch()

from eventlet import wsgi
from swift.account.server import AccountController
from swift.common.ring import RingBuilder
from swift.common.storage_policy import reload_storage_policies
from swift.common.utils import get_logger, set_swift_dir
from swift.common.wsgi import SwiftHttpProtocol, loadapp
from swift.container.server import ContainerController
from swift.obj.server import ObjectController

folder, port, access, secret = sys.argv[1:5]
user = access.replace(":", "_")

PROXY = f"""
[DEFAULT]
swift_dir = {folder}
log_level = ERROR

[pipeline:main]
pipeline = catch_errors gatekeeper listing_formats s3api tempauth copy slo symlink versioned_writes proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true

[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
auth_pipeline_check = false
[filter:tempauth]
use = egg:swift#tempauth
user_{user} = {secret} .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:symlink]
use = egg:swift#symlink
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
"""


def write(name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf8") as file:
        file.write(text)
    return path


os.makedirs(os.path.join(folder, "devices", "d1"), exist_ok=True)
write("swift.conf", "[swift-hash]\nswift_hash_path_suffix = dreamgrid\n[storage-policy:0]\nname = one\ndefault = yes\n")
set_swift_dir(folder)
reload_storage_policies()
config = {
    "swift_dir": folder,
    "devices": os.path.join(folder, "devices"),
    "mount_check": "false",
    "fallocate_reserve": "0",
    "log_level": "ERROR",
}


def serve(make, name):
    socket = eventlet.listen(("127.0.0.1", 0))
    builder = RingBuilder(1, 1, 0)
    address = {"ip": "127.0.0.1", "port": socket.getsockname()[1]}
    builder.add_dev(
        {
            "region": 1,
            "zone": 1,
            "weight": 1,
            "device": "d1",
            **address,
            **{f"replication_{key}": value for key, value in address.items()},
        }
    )
    builder.rebalance()
    builder.get_ring().save(os.path.join(folder, f"{name}.ring.gz"))
    return socket, make


class Memory:
    """What the proxy asks of memcached, in a dictionary; nothing expires in a test's lifetime."""

    def __init__(self):
        self.kept = {}

    def get(self, key, raise_on_error=False):
        return self.kept.get(key)

    def set(self, key, value, **_):
        self.kept[key] = value

    def delete(self, key, **_):
        self.kept.pop(key, None)

    def incr(self, key, delta=1, **_):
        self.kept[key] = int(self.kept.get(key, 0)) + delta
        return self.kept[key]

    def decr(self, key, delta=1, **_):
        return self.incr(key, -delta)


def remembering(app):
    memory = Memory()

    def serve_with_memory(environment, start_response):
        environment["swift.cache"] = memory
        return app(environment, start_response)

    return serve_with_memory


log = get_logger(config)
silent = open(os.devnull, "w", encoding="utf8")


def start(socket, app):
    eventlet.spawn(wsgi.server, socket, app, silent, protocol=SwiftHttpProtocol)


listening = [
    serve(AccountController, "account"),
    serve(ContainerController, "container"),
    serve(ObjectController, "object"),
]
for socket, make in listening:
    start(socket, make(config, logger=log))
proxy = eventlet.listen(("127.0.0.1", int(port)))
start(proxy, remembering(loadapp(write("proxy.conf", PROXY), global_conf={"log_level": "ERROR"})))
print("ready", flush=True)
while True:
    eventlet.sleep(3600)
