# Pushes a package as its arguments say: registry/repository:tag, a file, its type, the type of the config, user and password.
import json, sys, tempfile, pathlib
import oras.client

target, file, layer, config_type, user, password = sys.argv[1:7]
client = oras.client.OrasClient(insecure=True, hostname=target.split("/")[0], auth_backend="basic" if user else "token")
if user:
    client.auth.set_basic_auth(user, password)
with tempfile.TemporaryDirectory() as folder:
    config = pathlib.Path(folder) / "config.json"
    config.write_text("{}")
    response = client.push(
        target=target,
        files=[f"{file}:{layer}"],
        manifest_config=f"{config}:{config_type}",
        disable_path_validation=True,
    )
print(json.dumps({"digest": response.headers.get("Docker-Content-Digest")}))
