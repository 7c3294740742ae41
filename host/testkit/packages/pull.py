# Pulls a package: registry/repository:tag, the file that its layer goes to, user and password. Prints the manifest.
import json, sys
import oras.client

target, file, user, password = sys.argv[1:5]
client = oras.client.OrasClient(insecure=True, hostname=target.split("/")[0], auth_backend="basic" if user else "token")
if user:
    client.auth.set_basic_auth(user, password)
manifest = client.get_manifest(target)
container = client.get_container(target)
(layer,) = manifest["layers"]
client.download_blob(container, layer["digest"], file)
config = client.get_blob(container, manifest["config"]["digest"]).json()
print(json.dumps({"manifest": manifest, "config": config}))
