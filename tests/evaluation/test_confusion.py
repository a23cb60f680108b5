"""The confusion matrix."""

import pytest

from ostinato.evaluation.confusion import confusion


def test_the_confusion_matrix_by_hand():
    """scikit-learn's documentation of confusion_matrix, its second example."""
    expected = ["cat", "ant", "cat", "cat", "ant", "bird"]
    predicted = ["ant", "ant", "cat", "cat", "ant", "cat"]
    matrix = confusion(expected, predicted)
    assert matrix.labels == ["ant", "bird", "cat"]
    assert matrix.counts == [[2, 0, 0], [0, 0, 1], [1, 0, 2]]


def test_labels_of_the_confusion_matrix_keep_their_order():
    texts = ["low", "high", "mid", "2"]
    assert confusion(texts, texts).labels == ["2", "high", "low", "mid"]
    matrix = confusion(texts, texts[1:] + texts[:1], ["low", "mid", "high"])
    assert matrix.labels == ["low", "mid", "high", "2"]
    assert matrix.counts == [[0, 0, 1, 0], [0, 0, 0, 1], [0, 1, 0, 0], [1, 0, 0, 0]]
    assert confusion(["10", "9", "-1"], ["10", "9", "-1"]).labels == ["-1", "9", "10"]


def test_what_has_no_expected_label_is_left_out():
    assert confusion(["", "b"], ["a", "b"]).labels == ["b"]
    assert confusion([""], ["a"]).counts == []
    with pytest.raises(ValueError, match="zip"):
        confusion(["a"], ["a", "b"])
