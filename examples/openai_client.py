"""OpenAI's own client for Python with a server of Lowrank: data goes up, a job is paused, resumed and followed to its
model, the model answers, and each way to be refused is met once.

    mkdir -p models/unfinished && echo '{}' > models/unfinished/config.json      # a model without weights
    ./lowrank serve --models-dir models --max-file-mb 1 --max-queued-jobs 1

    export OPENAI_BASE_URL=http://127.0.0.1:8000/v1
    export OPENAI_API_KEY=$(./lowrank token create --name ada)
    export READER_KEY=$(./lowrank token create --name reader --scopes jobs:read)
    pip install openai && python examples/openai_client.py
"""

import io
import json
import os
import pathlib
import time
import uuid
import zipfile

import openai
from openai import OpenAI

BASE = "lowrank-tiny"
ROWS = pathlib.Path(__file__).parent / "tiny" / "signals.jsonl"
STEPS = 24

client = OpenAI()  # address and key from OPENAI_BASE_URL and OPENAI_API_KEY


def until(job_id, wanted):
    """Asks until a job is in a state, and fails if it ends in another one."""
    while True:
        job = client.fine_tuning.jobs.retrieve(job_id)
        if job.status == wanted:
            return job
        if job.status in ("succeeded", "failed", "cancelled"):
            raise SystemExit(f"The job is {job.status} and not {wanted}: {job.error}")
        time.sleep(0.1)


def refused(kind, request):
    """Tells a refusal, which must be of this class."""
    try:
        request()
    except kind as error:
        first, *_ = str(error).split("\n")
        print(f"refused: {type(error).__name__}: {first}")
        return error
    raise SystemExit(f"Expected {kind.__name__}")


def upload(first, last):
    """Sends some rows of the example's data."""
    data = b"\n".join(ROWS.read_bytes().split(b"\n")[first:last])
    sent = client.files.create(purpose="fine-tune", file=("signals.jsonl", data))
    file = client.files.wait_for_processing(sent.id)
    assert file.id in [each.id for each in client.files.list(purpose="fine-tune", limit=1)]
    assert client.files.content(file.id).read() == data
    print(f"uploaded: {file.filename}, {file.bytes} bytes")
    return file.id


def create(file, held_out=None, model=BASE, seed=7, using=client, **options):
    """A job. Options of LoRA and of training go along beside OpenAI's three hyperparameters."""
    hyperparameters = {
        **{"n_epochs": "auto", "batch_size": 2, "learning_rate_multiplier": 2},
        **{"lora_r": 4, "max_steps": STEPS, "max_length": 32, "save_steps": 8, "save": "both"},
    }
    return using.fine_tuning.jobs.create(
        model=model,
        training_file=file,
        validation_file=held_out,
        suffix="signals",
        seed=seed,
        method={"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
        metadata={"example": "openai_client.py"},
        **options,
    )


def wait_in_line(file):
    """While one job has the GPU, the next waits, and no more than one may."""
    once = client.with_options(max_retries=0)
    key = {"using": once, "extra_headers": {"Idempotency-Key": str(uuid.uuid4())}}
    waiting = create(file, **key)
    assert waiting.status == "queued"
    assert create(file, **key).id == waiting.id
    refused(openai.UnprocessableEntityError, lambda: create(file, seed=8, **key))
    refused(openai.RateLimitError, lambda: create(file, using=once))
    assert client.fine_tuning.jobs.cancel(waiting.id).status == "cancelled"
    error = refused(openai.BadRequestError, lambda: client.fine_tuning.jobs.cancel(waiting.id))
    assert error.code == "invalid_status"
    print("cancelled: a job that waited")


def train(file, held_out):
    """Trains a model, with a pause."""
    job = create(file, held_out)
    wait_in_line(file)
    until(job.id, "running")
    assert client.fine_tuning.jobs.pause(job.id).status == "paused"
    assert client.fine_tuning.jobs.resume(job.id).status == "queued"
    done = until(job.id, "succeeded")
    print(f"trained: {done.fine_tuned_model}, {done.trained_tokens} tokens")
    mine = client.fine_tuning.jobs.list(limit=1, metadata={"example": "openai_client.py"})
    assert done.id in [each.id for each in mine]
    return done


def follow(job):
    """Events and checkpoints, page by page."""
    page = client.fine_tuning.jobs.list_events(job.id, limit=5)
    messages, pages = [], 0
    for page in page.iter_pages():
        messages += [event.message for event in page.data]
        pages += 1
    steps = [message for message in messages if message.startswith("Step ") and "training loss=" in message]
    assert len(steps) == len(set(steps)) == STEPS, steps
    assert messages[-1] == f"Created fine-tuning job: {job.id}"
    print(f"events: {len(messages)} on {pages} pages; {messages[0]}")
    checkpoints = list(client.fine_tuning.jobs.checkpoints.list(job.id, limit=1))
    assert all(checkpoint.metrics.train_loss > 0 for checkpoint in checkpoints)
    assert checkpoints[0].metrics.full_valid_loss > 0
    print(f"checkpoints: {','.join(str(checkpoint.step_number) for checkpoint in checkpoints)}")


def results(job):
    """What a job leaves: metrics as a table and as lines, the adapter, the merged model."""
    names = []
    for file_id in job.result_files:
        file = client.files.retrieve(file_id)
        content = client.files.content(file_id).read()
        assert len(content) == file.bytes
        if file.filename == "step_metrics.csv":
            header, *rows = content.decode().splitlines()
            assert header == "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"
            assert len([row for row in rows if row.split(",")[1]]) == STEPS
        elif file.filename == "metrics.jsonl":
            assert json.loads(content.splitlines()[0])["step"] >= 0
        else:
            archive = zipfile.ZipFile(io.BytesIO(content))
            assert archive.testzip() is None  # each sum is right
            wanted = {"adapter.zip": "adapter_model.safetensors", "merged.zip": "config.json"}
            assert wanted[file.filename] in archive.namelist()
        names.append(file.filename)
    print(f"results: {', '.join(names)}")


def chat(model):
    """The model's answer, whole and as a stream."""
    assert client.models.retrieve(model).id == model
    assert {BASE, model} <= {each.id for each in client.models.list()}
    question = {
        "model": model,
        "messages": [{"role": "user", "content": "Signal bow."}],
        **{"temperature": 0, "max_completion_tokens": 12},
    }
    answer = client.chat.completions.create(**question)
    chunks = client.chat.completions.create(**question, stream=True)
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert streamed == answer.choices[0].message.content
    usage = answer.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    print(f"answered: {json.dumps(streamed)}, {usage.completion_tokens} tokens")
    assert client.completions.create(model=model, prompt="Signal", max_tokens=4, temperature=0).choices[0].text
    refused(openai.BadRequestError, lambda: client.chat.completions.create(**question, logprobs=True))
    unfinished = {**question, "model": "unfinished"}
    refused(openai.InternalServerError, lambda: client.chat.completions.create(**unfinished))
    hurry = client.with_options(timeout=0.001, max_retries=0)
    refused(openai.APITimeoutError, lambda: hurry.chat.completions.create(**question))


def refusals(file, model):
    """Each class of error that the client has for what a server answers, and for what keeps it from answering."""
    refused(openai.AuthenticationError, lambda: client.with_options(api_key="wrong").models.list())
    reader = client.with_options(api_key=os.environ["READER_KEY"])
    refused(openai.PermissionDeniedError, lambda: reader.files.delete(file))
    refused(openai.PermissionDeniedError, lambda: client.models.delete(BASE))  # the operator's
    unknown = refused(openai.NotFoundError, lambda: client.fine_tuning.jobs.retrieve("ftjob-none"))
    assert unknown.request_id.startswith("req_")
    wrong = ("wrong.jsonl", b"no JSON")
    invalid = refused(openai.BadRequestError, lambda: client.files.create(purpose="fine-tune", file=wrong))
    assert invalid.code == "invalid_file_format" and "Line 1" in str(invalid)
    large = ("large.jsonl", b"x" * 1_500_000)
    too_large = refused(openai.APIStatusError, lambda: client.files.create(purpose="fine-tune", file=large))
    assert too_large.status_code == 413
    user = create(file, model=model)
    refused(openai.ConflictError, lambda: client.models.delete(model))
    client.fine_tuning.jobs.cancel(user.id)
    nobody = client.with_options(base_url="http://127.0.0.1:9/v1", max_retries=0)
    refused(openai.APIConnectionError, nobody.models.list)


def main():
    file, held_out = upload(0, 24), upload(24, 32)
    job = train(file, held_out)
    follow(job)
    results(job)
    model = job.fine_tuned_model
    chat(model)
    refusals(file, model)
    assert client.models.delete(model).deleted
    assert client.files.delete(file).deleted and client.files.delete(held_out).deleted
    print("deleted: model and files")


main()
