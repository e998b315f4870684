"""What schemathesis cannot know from a schema: files that can be trained on are lines of JSON, all of one shape."""

import json

import schemathesis
from hypothesis import strategies as st

letters = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])
words = st.text(letters, min_size=1, max_size=40).filter(str.strip)
shapes = [
    st.fixed_dictionaries({"text": words}),
    st.fixed_dictionaries({"prompt": words, "completion": words}),
    st.fixed_dictionaries({"instruction": words, "output": words}),
]


def file_of(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


files = st.one_of([st.lists(shape, min_size=1, max_size=4) for shape in shapes]).map(file_of)
schemathesis.openapi.format("binary", files)
