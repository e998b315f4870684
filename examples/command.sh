#!/bin/sh
# As a command: the flags of the Python service. With --gcs-bucket my-bucket the same names are looked up in that
# bucket, and the results go there.
set -eu

./lowrank train \
  --base-model examples/tiny/model \
  --output-model-name by-command \
  --training-data-path examples/tiny/signals.jsonl \
  --max-steps 2 --save adapter
