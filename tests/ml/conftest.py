"""Tiny real models, made once a session: a two-layer Llama with a byte-level BPE, and a one-label BERT."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"

import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import torch
import uvicorn
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from shared.evaluation.hf import Policy, load_policy
from shared.models.competition import Engine, SampleCounts, Sampling, SamplingLimits
from validator.api.app import create_app

TEXT = [
    "What is a lantern? A lantern is a lamp that you can carry.",
    "Describe a river in one short sentence. A river is water that finds the sea.",
    "Why do people like honey? Because honey is sweet and it keeps for years.",
]
CHAT = (
    "{% for message in messages %}<|start|>{{ message.role }}\n{{ message.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
STOP = 1


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def save_policy(directory: Path, seed: int, scale: float = 0.35) -> Path:
    """A random policy with logits wide enough to be interesting, saved with its tokenizer."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|end|>", "<|start|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=sorted(alphabet), show_progress=False
    )
    bpe.train_from_iterator(TEXT, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        additional_special_tokens=["<|start|>"],
    )
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(directory)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=scale,
        pad_token_id=0,
        eos_token_id=STOP,
        bos_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def base_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base model."""
    return save_policy(tmp_path_factory.mktemp("base"), seed=1)


@pytest.fixture(scope="session")
def other_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another policy of the base's architecture: weights only, as a miner publishes them."""
    whole = save_policy(tmp_path_factory.mktemp("whole"), seed=2)
    bare = tmp_path_factory.mktemp("other")
    shutil.copy(whole / "model.safetensors", bare)
    return bare


@pytest.fixture(scope="session")
def base_policy(base_dir: Path) -> Policy:
    """The base model, loaded."""
    return load_policy(base_dir)


@pytest.fixture(scope="session")
def sampling() -> Sampling:
    """Rules of a small competition."""
    return Sampling(
        limits=SamplingLimits(prompt_tokens=200, new_tokens=12),
        temperature=0.8,
        samples=SampleCounts(challenger=1, champion=2),
        engine=Engine(threads=1, batch=4),
        stop_ids=(STOP, *range(100, 120)),
    )


def save_judge(directory: Path, labels: int = 1) -> Path:
    """A random BERT judge over a word-piece vocabulary of letters."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz"]
    words += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    piece = Tokenizer(models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    piece.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    piece.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=piece, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    tokenizer.save_pretrained(directory)
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        num_labels=labels,
        initializer_range=0.5,
    )
    BertForSequenceClassification(config).save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def judge_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A judge with one label."""
    return save_judge(tmp_path_factory.mktemp("judge"))


@pytest.fixture(scope="session")
def two_label_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier with two labels, which is not a judge."""
    return save_judge(tmp_path_factory.mktemp("two"), labels=2)


@contextmanager
def _serving(ledger_url: str) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(ledger_url), log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def serving() -> Callable[[str], AbstractContextManager[str]]:
    """The validator's API over a ledger's URL, on a free port; its address while the context lasts."""
    return _serving
