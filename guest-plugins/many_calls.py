"""Tests that the plugin argv[2] gives back what a call has taken: in the host argv[1], one instance of it delivers argv[3] records
with 24 MiB of memory. The host throws an instance away whose memory grows, and counts it."""

import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

MODULE = """
version: "1"
admin: {{ address: 127.0.0.1:0 }}
ingresses:
  - id: many/records
    datagen: {{}}
    routers:
      - to: [many/calls]
sinks:
  - id: many/calls
    plugin:
      path: {plugin}
      limits: {{ memory: 24MiB, time: 30s, instances: 1 }}
    endpoint: {{ url: "{url}/" }}
    results: {{ to: many/results }}
egresses:
  - id: many/results
    file: {{ path: results.ndjson }}
"""
FAILED = ["nozzle_plugin_instances_recycled_total", "nozzle_plugin_failures_total", "nozzle_sink_events_dead_lettered_total"]


def find(log, pattern, process):
    """What a process says of itself, which it does soon after its start."""
    for _ in range(600):
        found = re.search(pattern, log.read_text())
        if found:
            return found.group(1)
        if process.poll() is not None:
            break
        time.sleep(0.1)
    sys.exit(f"{log.name} says nothing of {pattern}:\n{log.read_text()}")


def counters(url):
    """The sums of all counters by their names."""
    sums = {}
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        for line in answer.read().decode().splitlines():
            if not line.startswith("#"):
                name, value = re.split(r"[{ ]", line, maxsplit=1)[0], float(line.split()[-1])
                sums[name] = sums.get(name, 0) + value
    return sums


def deliver(nozzle, plugin, records, folder, started):
    def start(name, *arguments):
        log = folder / f"{name}.log"
        with log.open("w") as out:
            started.append(subprocess.Popen([nozzle, *arguments], cwd=folder, stdout=out, stderr=out))
        return log, started[-1]

    log, process = start("endpoint", "endpoint", "--listen", "127.0.0.1:0")
    endpoint = find(log, r"listening on (http://[0-9.:]+)", process)
    (folder / "module.yaml").write_text(MODULE.format(plugin=plugin, url=endpoint))
    log, host = start("run", "run", "module.yaml")
    port = find(log, r"status are served .*port=(\d+)", host)
    for _ in range(3000):
        found = counters(f"http://127.0.0.1:{port}")
        failed = {name: found[name] for name in FAILED if found.get(name)}
        if failed or host.poll() is not None:
            sys.exit(f"{plugin}: {failed}\n{log.read_text()}")
        if found.get("nozzle_sink_events_delivered_total", 0) >= records:
            assert all(name in found for name in FAILED), "the counters have other names"
            return
        time.sleep(0.1)
    sys.exit(f"{plugin}: {records} records take too long\n{log.read_text()}")


def main():
    nozzle, plugin, records = (pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve(), int(sys.argv[3]))
    started = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            deliver(nozzle, plugin, records, pathlib.Path(folder), started)
        finally:
            for process in started:
                process.kill()
                process.wait()


main()
