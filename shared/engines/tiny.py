"""A tiny language model and a tiny judge trunk made from a seed: real files, real training, seconds of work.

Tests and the quick demo use them where the real models would take minutes. The policy knows a few
sentences, ends its completions and often talks too long, so that training it can help. The same seed gives
the same bytes on one machine; nothing here is downloaded.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.competitions.pools import PURPOSES, PromptSource, load_prompt_source, make_pool

VOCABULARY = 1024
STOP_TOKEN = "<|im_end|>"
SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", STOP_TOKEN)
"""In the order of their ids: the stop token is 2, as in SmolLM2."""
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
OPENERS = (
    "{Thing} is small and useful.",
    "People like {thing} a lot.",
    "You can find {thing} in the town.",
    "I saw {thing} near the old house.",
    "{Thing} is a good thing to have.",
    "Everybody knows {thing} very well.",
)
FOLLOWERS = (
    "It is made by hand and it is old.",
    "Many people know it well.",
    "You can see it from the road.",
    "It can be red or blue or green.",
    "Children often ask about it at home.",
    "Some of them are very old.",
)
FOLLOWER_WEIGHTS = (25, 25, 25, 25)
"""Relative frequency of completions with 0, 1, 2 and 3 further sentences."""
STEPS, BATCH, LEARNING_RATE = 160, 32, 8e-3
PROMPTS = 512
"""Prompts of each slice that the policy is trained on."""


def fit_rules(rules: Mapping[str, Any]) -> dict[str, Any]:
    """A competition's rules for tiny models: one thread, and word limits that ask for no topic.

    Two layers that were trained for seconds do not copy a word from the prompt into their completion.
    """
    engine = {**rules["sampling"]["engine"], "threads": 1}
    slices = [
        {**part, "kind": part["kind"].replace("word-limit-2", "word-limit-1")} for part in rules["slices"]
    ]
    return {**rules, "sampling": {**rules["sampling"], "engine": engine}, "slices": slices}


def build_tiny_policy(seed: int, target: Path, chats: Sequence[tuple[str, str]] = ()) -> None:
    """Write a two-layer Llama with hidden size 64, its tokenizer and chat template to `target`.

    About 170,000 parameters, trained for some ten seconds on one thread: on `chats`, pairs of prompt and
    completion, or on the demo's prompts when there are none.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    chats = chats or list(_chats(load_prompt_source(), random.Random(seed)))
    tokenizer = _train_tokenizer([f"{prompt} {answer}" for prompt, answer in chats])
    with _deterministic(seed):
        config = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=176,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
            initializer_range=0.05,
        )
        model: Any = LlamaForCausalLM(config)
        _pretrain(model, [_token_ids(tokenizer, *chat) for chat in chats])
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def build_tiny_trunk(seed: int, target: Path) -> None:
    """Write a two-layer BERT encoder with random tensors and its tokenizer to `target`."""
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel

    chats = list(_chats(load_prompt_source(), random.Random(seed)))
    tokenizer = _train_tokenizer([f"{prompt} {answer}" for prompt, answer in chats])
    tokenizer.chat_template = None  # a judge without a template reads (prompt, completion) as a text pair
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|im_start|> $A <|im_end|>",
        pair="<|im_start|> $A <|im_end|> $B:1 <|im_end|>:1",
        special_tokens=[("<|im_start|>", 1), ("<|im_end|>", 2)],
    )
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    with _deterministic(seed):
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=128,
            max_position_embeddings=256,
            pad_token_id=0,
        )
        model: Any = BertModel(config)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def _chats(source: PromptSource, rng: random.Random) -> Iterator[tuple[str, str]]:
    """Prompts of all words and templates, each with a completion of one to four sentences."""
    for name in source.slices:
        for purpose in PURPOSES:
            for prompt in make_pool(source, name, purpose, PROMPTS // len(PURPOSES)):
                word = prompt.id.rsplit("-", 1)[1]
                yield prompt.text, _answer(source.words.with_article(word), rng)


def _answer(thing: str, rng: random.Random) -> str:
    opener = rng.choice(OPENERS).format(thing=thing, Thing=thing[0].upper() + thing[1:])
    (more,) = rng.choices(range(len(FOLLOWER_WEIGHTS)), FOLLOWER_WEIGHTS)
    return " ".join([opener, *rng.sample(FOLLOWERS, more)])


def _train_tokenizer(texts: Sequence[str]) -> Any:
    """A byte-level BPE tokenizer with a ChatML-like template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([*texts, "user\nassistant\n"], trainer)
    make: Any = PreTrainedTokenizerFast  # untyped in transformers
    tokenizer = make(
        tokenizer_object=backend,
        bos_token="<|im_start|>",
        eos_token=STOP_TOKEN,
        pad_token="<|endoftext|>",
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def _token_ids(tokenizer: Any, prompt: str, answer: str) -> list[int]:
    """Token ids of a whole chat, the stop token last."""
    message = [{"role": "user", "content": prompt}]
    text = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
    ids: list[int] = tokenizer(text + answer + STOP_TOKEN, add_special_tokens=False).input_ids
    return ids


def _pretrain(model: Any, chats: list[list[int]]) -> None:
    """Next-token training on whole chats, in batches that the caller's seed orders."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS)
    model.train()
    for _ in range(STEPS):
        batch = [chats[int(index)] for index in torch.randint(len(chats), (BATCH,))]
        width = max(map(len, batch))
        ids = torch.tensor([row + [0] * (width - len(row)) for row in batch])
        real = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in batch])
        loss = model(input_ids=ids, attention_mask=real, labels=ids.masked_fill(real == 0, -100)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval()


@contextmanager
def _deterministic(seed: int) -> Iterator[None]:
    """One thread and torch's random numbers from `seed`; both as before afterwards."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)
