"""Claims about language models trained from scratch."""

import math
from itertools import pairwise

import numpy as np
import pytest

from core.errors import BadInput, Stopped
from core.training.pretrain import END, END_ID, PretrainParams, framed, mean_loss, train_lm, train_tokenizer
from core.training.scratch import cosine, length_sorted
from core.values import Silent

DOCS = [
    f"The {a} kettle {b} on shelf {i}."
    for i in range(30)
    for a in ("old", "new")
    for b in ("sings", "sleeps")
]
TINY = PretrainParams(layers=2, width=32, heads=2, context=32, vocab=300, epochs=2, batch=16, warmup=4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "lm"
    return folder, train_lm(DOCS, folder, params=TINY, held_out={"same": DOCS[:40]})


def test_the_folder_loads_through_the_auto_classes_and_speaks_of_the_end_token(trained):
    import transformers

    folder, facts = trained
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    assert tokenizer.eos_token == tokenizer.bos_token == tokenizer.pad_token == END
    assert tokenizer.eos_token_id == END_ID == model.config.pad_token_id
    ids = tokenizer("Unseen: naïve 🫖 text")["input_ids"]
    assert ids[0] == END_ID, "every training document began with the end token, so must a prompt"
    assert tokenizer.decode(ids[1:]) == "Unseen: naïve 🫖 text"
    assert model.num_parameters() == facts["weights"]
    assert tokenizer.model_max_length == model.config.n_positions == TINY.context


def test_nothing_is_stored_as_pickle(trained):
    assert {p.suffix for p in trained[0].iterdir()} == {".json", ".safetensors"}


def test_training_twice_writes_the_same_bytes_and_leaves_torchs_random_state_alone(trained, tmp_path):
    import torch

    torch.manual_seed(7)
    wanted = torch.rand(1)
    torch.manual_seed(7)
    again = train_lm(DOCS, tmp_path / "again", params=TINY)
    assert torch.equal(torch.rand(1), wanted)
    assert again["hash"] == trained[1]["hash"]
    other = train_lm(DOCS, tmp_path / "other", params=TINY.model_copy(update={"seed": 1}))
    assert other["hash"] != again["hash"]


def test_it_learns_and_the_held_out_loss_is_what_the_saved_model_gives(trained):
    import torch
    import transformers

    folder, facts = trained
    uniform = math.log(facts["vocab"])
    assert facts["losses"][-1] < facts["losses"][0] < uniform
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    total, count = 0.0, 0
    with torch.inference_mode():  # the slow, obvious way: one document at a time, transformers' own loss
        for text in DOCS[:40]:
            ids = torch.tensor([[*tokenizer(text)["input_ids"], END_ID]])
            total += model(input_ids=ids, labels=ids).loss.item() * (ids.shape[1] - 1)
            count += ids.shape[1] - 1
    assert facts["held_out"]["same"]["tokens"] == count
    assert facts["held_out"]["same"]["loss"] == pytest.approx(total / count, rel=1e-5)


def test_the_padding_of_a_batch_does_not_reach_the_loss(trained):
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(trained[0])
    pieces = [[0, 5, 6, 0], [0, 7, 0], [0, 8, 9, 10, 11, 0]]
    apart = sum(mean_loss(model, [p]) * (len(p) - 1) for p in pieces) / sum(len(p) - 1 for p in pieces)
    assert mean_loss(model, pieces, batch=3) == pytest.approx(apart, rel=1e-5)


def test_pieces_fit_the_context_and_predict_every_token_once():
    tokenizer = train_tokenizer(DOCS, 300)
    whole = [END_ID, *tokenizer.encode(DOCS[0]).ids, END_ID]
    for context in (2, 3, len(whole) - 1, len(whole), 50):
        pieces = framed(tokenizer, [DOCS[0], ""], context)
        assert max(map(len, pieces)) <= context
        assert all(len(p) > 1 for p in pieces)
        assert [t for p in pieces for t in p[1:]] == whole[1:]
        assert pieces[0][0] == END_ID


def test_batches_hold_every_row_once_and_neighbours_in_length():
    lengths = np.random.default_rng(0).integers(1, 100, size=103)
    batches = length_sorted(lengths, 10, np.random.default_rng(1))
    assert sorted(np.concatenate(batches)) == list(range(103))
    spans = sorted((lengths[b].min(), lengths[b].max()) for b in batches)
    assert all(high <= low for (_, high), (low, _) in pairwise(spans))
    assert [b.tolist() for b in batches] != [
        b.tolist() for b in length_sorted(lengths, 10, np.random.default_rng(2))
    ]


def test_the_cosine_ends_at_five_percent():
    assert cosine(0) == 1
    assert cosine(0.5) == pytest.approx(0.525)
    assert cosine(1) == cosine(1.7) == pytest.approx(0.05)


def test_a_time_limit_ends_the_training_and_still_saves_a_model(tmp_path):
    facts = train_lm(
        DOCS, tmp_path / "lm", params=TINY.model_copy(update={"epochs": 10_000, "max_seconds": 0.3})
    )
    assert 0 < facts["steps"] < 10_000
    assert facts["seconds"] < 3
    assert (tmp_path / "lm" / "model.safetensors").is_file()


class StopsAtThree(Silent):
    def progress(self, done, total, what):
        if done == 3:
            raise Stopped("stopped")


def test_a_stop_leaves_the_older_model_as_it_was(tmp_path):
    (tmp_path / "lm").mkdir()
    (tmp_path / "lm" / "mine.txt").write_text("kept")
    with pytest.raises(Stopped):
        train_lm(DOCS, tmp_path / "lm", params=TINY, reporter=StopsAtThree())
    assert [p.name for p in tmp_path.rglob("*")] == ["lm", "mine.txt"]


def test_impossible_requests_are_sentences(tmp_path):
    with pytest.raises(BadInput, match="heads"):
        train_lm(DOCS, tmp_path / "lm", params=TINY.model_copy(update={"heads": 3}))
    with pytest.raises(BadInput, match="no text"):
        train_lm(["", ""], tmp_path / "lm", params=TINY)
