"""Reads an event file of test/logs/tensorboard_test.ts with TensorBoard's own reader, and keeps it as tensorboard.json.

    python test/golden/make_tensorboard.py EVENT_FILE

Needs PyPI's `tensorboard`. Fails unless every value is what the test wrote; the steps that a resumed run forgets, too.
"""

import base64
import json
import sys
from pathlib import Path

from tensorboard import version
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

path = Path(sys.argv[1])
events = list(EventFileLoader(str(path)).Load())
assert events[0].file_version == "brain.Event:2"
assert events[1].step == 8 and events[1].session_log.status == 1, events[1]

reader = EventAccumulator(str(path.parent), purge_orphaned_data=False)
reader.Reload()
found = {}
for tag in reader.Tags()["tensors"]:
    (event,) = reader.Tensors(tag)
    value = event.tensor_proto
    found[tag] = [event.step, value.string_val[0].decode() if value.string_val else value.float_val[0]]
want = {
    "eval/loss": [0, 2.5],
    "eval/mean_token_accuracy": [0, 0.25],
    "eval/runtime": [0, 0.5],
    "eval/exact_match": [0, 0.125],
    "train/loss": [300, 1.75],
    "train/grad_norm": [300, 0.5],
    "train/epoch": [300, 1.5],
    "train/mean_token_accuracy": [300, 0.75],
    "train/num_tokens": [300, 4096],
    "train/tokens_per_second": [300, 128],
}
for tag in reader.Tags()["scalars"]:
    (event,) = reader.Scalars(tag)
    found[tag] = [event.step, event.value]
for tag, value in want.items():
    assert found[tag] == value, (tag, found.get(tag), value)
assert abs(found["train/learning_rate"][1] - 1e-4) < 1e-10 and abs(found["eval/perplexity"][1] - 12.1825) < 1e-4
assert found["samples/0"][1].startswith("prompt\n\n    two\n    lines\n\nexpected\n\n    été\n"), found["samples/0"]
assert reader.SummaryMetadata("samples/0").plugin_data.plugin_name == "text"

content = {"versions": {"tensorboard": version.VERSION}, "file": base64.b64encode(path.read_bytes()).decode()}
Path(__file__).with_name("tensorboard.json").write_text(json.dumps(content) + "\n")
print(f"read by tensorboard {version.VERSION}: {len(found)} tags")
