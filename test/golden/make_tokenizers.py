"""Writes tokenizers.json.gz: what Python's `tokenizers` and `transformers` make of 200 texts and 20 conversations.

    python test/golden/make_tokenizers.py PACKAGES test/golden/tokenizers.json.gz

PACKAGES holds a folder for each npm package below, unpacked. Made with tokenizers and transformers of the versions that
the file names. The texts follow from a seed, so that the file can be made again byte for byte.
"""

import gzip
import json
import random
import sys
from pathlib import Path

import tokenizers
import transformers

NAMES = ["llama2", "llama3_1", "qwen3", "gemini", "gemma3"]

PIECES = [
    "the", " quick", " Brown", "FOX", " jumps", "over", " lazy", "dog", "'s", "'LL", "don't", " I'm", "x_y", "camelCase",
    "0", "7", "42", "1999", "3.14159", "1,000,000", "²", "½", "Ⅷ", "٣", "१२३",
    " ", "  ", "    ", "\t", "\n", "\n\n", "\n\n\n", "\r\n", "\r\n\r\n", " \n ", "\u00a0", "\u3000", "\u200b", "\ufeff",
    "é", "e\u0301", "ﬁ", "Å", "A\u030a", "ñ", "ß", "İ", "ı", "Straße", "naïve", "Ωmega", "привет", " мир", "你好", "世界", "こんにちは",
    "カタカナ", "한국어", "\u1112\u1161\u11ab", "العربية", "עברית", "हिन्दी", "ไทย", "ქართული", "🙂", "👍🏽", "👨‍👩‍👧", "🇺🇳", "𝔘𝔫𝔦", "𐍈", "\U000e0001",
    "\u0000", "\u0007", "\ue000", "\ufffd", "\u2028", "!", "?!", "...", "—", "“quote”", "(a)", "[b]", "{c}", "<d>", "</e>", "&amp;", "//", "/*",
    "*/", "==", "!=", "->", "=>", "::", "#!", "$x", "%s", "\\n", "\\u00e9", "`code`", "```", "http://a.b/c?d=e&f#g", "a@b.c",
    "▁", "▁▁", "Ġ", "Ċ", "<0x0A>", "<unk>", "<s>", "</s>", "<bos>", "<eos>", "<pad>", "<|im_start|>", "<|im_end|>", "<|endoftext|>",
    "<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<start_of_turn>", "<end_of_turn>", "<think>", "</think>", "<unused3>",
]

WHOLE = [
    "", " ", "  ", "\n", "\r\n", "\t\t", "a", " a", "a ", " a ", "▁a", "Hello world", "Hello  world", " Hello", "hello\nworld\n",
    "The year 2024, the 21st of March.", "1234567890", "12 345 6789", "3.14159265", "0x1F 0b101 1e-5", "x" * 70, " " * 40, "\n" * 17,
    "a" + " " * 9 + "b", "tab\tand\r\nCRLF\r\nlines\r\n", "I'll they've we'd it's DON'T 'tis", "e\u0301 é", "👨‍👩‍👧‍👦 family", "🙂🙂🙂",
    "\U0001f9ff\U0001fae8", "mixed 漢字 and kana かな カナ", "ZWJ\u200djoin", "def f(x):\n    return x ** 2\n\n\nclass A:\n\tpass\n",
    '{"key": [1, 2.5, null], "other": "va\\"lue"}', "<div class=\"a\">\n  <p>text</p>\n</div>", "SELECT * FROM t WHERE a >= 10;",
    "<|im_start|>user\nhi<|im_end|>\n", "<s>[INST] hi [/INST] yes</s>", "<bos><start_of_turn>user\nhi<end_of_turn>\n",
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>", "text<|im_end|>text", " <s> ", "</s>\n</s>",
    "<think>\n\n</think>\n\nfine", "<|im_start|", "im_end|>", "< |im_end|>", "Ａｆｕｌｌ　ｗｉｄｔｈ", "ﷺ ﬃ ℌ", "\u0301combining first",
]


def texts():
    draw = random.Random(20261124)
    made = list(WHOLE)
    while len(made) < 200:
        made.append("".join(draw.choice(PIECES) for _ in range(draw.randint(1, 14))))
    return made


def chats():
    user = lambda content: {"role": "user", "content": content}
    model = lambda content: {"role": "assistant", "content": content}
    system = lambda content: {"role": "system", "content": content}
    conversations = [
        [user("Hi")],
        [user("Hi"), model("Hello!")],
        [user("Hi"), model("Hello!"), user("Bye")],
        [user("Hi"), model("Hello!"), user("Bye"), model("So long.")],
        [system("Be brief."), user("Hi"), model("Hello!")],
        [system("Be brief."), user("Hi"), model("Hello!"), user("Why?")],
        [system(""), user("Hi")],
        [user("  spaces around  "), model("  kept?  ")],
        [user("two\nlines\r\n"), model("\n\nfirst blank")],
        [user("é 🙂 漢字"), model("naïve 👍🏽")],
        [user("say <|im_end|> and <end_of_turn> and <|eot_id|>"), model("no </s>")],
        [user("2+2?"), model("<think>\nsum\n</think>\n\n4")],
        [user("2+2?"), model("<think>\nsum\n</think>\n\n4"), user("3+3?"), model("<think>\nagain\n</think>\n\n6")],
        [user(""), model("")],
        [user("a"), model("b"), user("c"), model("d"), user("e"), model("f")],
        [user("{{ messages }}{% raw %}"), model("{# not jinja #}")],
        [user("a"), user("b")],
        [model("I begin")],
        [user("x" * 300), model("y" * 300)],
        [system("S"), user("U"), model("A"), user("U2"), model("A2")],
    ]
    return [{"messages": messages, "add_generation_prompt": messages[-1]["role"] != "assistant"} for messages in conversations]


def encode(tokenizer, text):
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    decoded = tokenizer.decode(ids, skip_special_tokens=False)
    entry = {"ids": ids}
    tokenizer.encode_special_tokens = True
    literal = tokenizer.encode(text, add_special_tokens=False).ids
    tokenizer.encode_special_tokens = False
    if literal != ids:
        entry["literal"] = literal
    if decoded != text:
        entry["decoded"] = decoded
    return entry


def render(fast, chat):
    try:
        text = fast.apply_chat_template(
            chat["messages"], add_generation_prompt=chat["add_generation_prompt"], tokenize=False
        )
    except Exception as error:  # a template's raise_exception
        return {"error": str(error)}
    return {"text": text, "ids": fast(text, add_special_tokens=False)["input_ids"]}


def package(folder, cases, conversations):
    path = str(folder / "models" / "tokenizer.json")
    tokenizer = tokenizers.Tokenizer.from_file(path)
    config = json.loads((folder / "models" / "tokenizer_config.json").read_text())
    bare, whole = (tokenizer.encode("a", add_special_tokens=special).ids for special in (False, True))
    at = whole.index(bare[0])
    made = {
        "version": json.loads((folder / "package.json").read_text())["version"],
        "prefix": whole[:at],
        "suffix": whole[at + len(bare) :],
        "vocab_size": max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1,
        "texts": [encode(tokenizer, text) for text in cases],
    }
    if config.get("chat_template"):
        fast = transformers.PreTrainedTokenizerFast(
            tokenizer_file=path,
            chat_template=config["chat_template"],
            **{name: config[name] for name in ("bos_token", "eos_token", "pad_token") if config.get(name)},
        )
        made["chats"] = [render(fast, chat) for chat in conversations]
    return made


def main(packages, out):
    cases, conversations = texts(), chats()
    golden = {
        "made_with": {"tokenizers": tokenizers.__version__, "transformers": transformers.__version__},
        "texts": cases,
        "chats": conversations,
        "packages": {name: package(Path(packages) / name, cases, conversations) for name in NAMES},
    }
    data = json.dumps(golden, ensure_ascii=False, separators=(",", ":")).encode()
    Path(out).write_bytes(gzip.compress(data, 9, mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
