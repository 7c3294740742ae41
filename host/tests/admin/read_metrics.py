# Reads a text of metrics with the parser of prometheus_client, and prints every sample.
import json, sys
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics

text = sys.stdin.read()
parse = openmetrics if text.endswith("# EOF\n") else parser
print(json.dumps([
    {
        "name": family.name,
        "type": family.type,
        "unit": family.unit,
        "help": family.documentation,
        "samples": [[sample.name, sample.labels, str(sample.value)] for sample in family.samples],
    }
    for family in parse.text_string_to_metric_families(text)
]))
