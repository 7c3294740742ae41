# Pushes a signature in cosign's form: registry/repository:tag, the file of what is signed, the signature.
import json, sys, tempfile, pathlib
import oras.client

target, file, signature = sys.argv[1:4]
client = oras.client.OrasClient(insecure=True, hostname=target.split("/")[0])
with tempfile.TemporaryDirectory() as folder:
    config = pathlib.Path(folder) / "config.json"
    config.write_text("{}")
    annotations = pathlib.Path(folder) / "annotations.json"
    annotations.write_text(json.dumps({file: {"dev.cosignproject.cosign/signature": signature}}))
    client.push(
        target=target,
        files=[f"{file}:application/vnd.dev.cosign.simplesigning.v1+json"],
        manifest_config=f"{config}:application/vnd.oci.image.config.v1+json",
        annotation_file=str(annotations),
        disable_path_validation=True,
    )
print("{}")
