"""Stand-ins for what lies beyond the process: tiny random language models, saved as real ones are."""

from pathlib import Path

WORDS = [
    "a", "the", "red", "blue", "green", "toy", "story", "film", "music", "book", "house", "river", "light", "night",
    "love", "war", "peace", "comedy", "drama", "space", "电影", "音乐", "书", "好看", "不好", "very", "good", "bad",
    "old", "new", "big", "small", "cat", "dog", "tree", "sea", "sun", "moon", "star", "road", ".", ",", "!",
]  # fmt: skip


def tokenizer(cls_sep=True, max_length=64, words=WORDS):
    """A word-level tokenizer made in memory; with `cls_sep` it puts [CLS] and [SEP] round each text."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {word: index for index, word in enumerate([*special, *words])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    if cls_sep:
        inner.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    names = {"unk_token": "[UNK]", "model_max_length": max_length}
    if cls_sep:
        names |= {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    else:
        names |= {"eos_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=inner, **names)


def tiny_bert(folder: Path, seed=0, max_length=64, words=WORDS) -> Path:
    """A folder with a random BERT of a few thousand weights, and its tokenizer, which knows some words."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=4 + len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=max_length, initializer_range=0.3,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    tokenizer(max_length=max_length, words=words).save_pretrained(folder)
    return folder


def tiny_gpt2(folder: Path, seed=0, max_length=64) -> Path:
    """A folder with a random GPT-2 of a few thousand weights, and a tokenizer that has no padding token."""
    import torch
    from transformers import GPT2Config, GPT2Model

    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=4 + len(WORDS), n_embd=16, n_layer=2, n_head=2, n_positions=max_length, initializer_range=0.3,
        bos_token_id=3, eos_token_id=3,
    )  # fmt: skip
    GPT2Model(config).save_pretrained(folder)
    tokenizer(cls_sep=False, max_length=max_length).save_pretrained(folder)
    return folder


def sentences(n: int, seed=0, longest=40) -> list[str]:
    """`n` distinct texts of the tiny models' words, of mixed length."""
    import numpy as np

    rng = np.random.default_rng(seed)
    made: dict[str, None] = {}
    while len(made) < n:
        made[" ".join(rng.choice(WORDS, rng.integers(1, longest + 1)))] = None
    return list(made)
