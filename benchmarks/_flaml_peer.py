"""FLAML for effort.py: gradient boosting and linear models on tf-idf, in the rival's own environment.

Reads an order, a JSON file with the training rows, the label last, and the rows that are asked; writes the labels
beside it, as `.answers.json`.
"""

import json
import sys
from pathlib import Path

import numpy as np
from flaml import AutoML
from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer

VECTORIZERS = {"words": {"analyzer": "word", "ngram_range": (1, 2)}, "characters": {"analyzer": "char_wb",
               "ngram_range": (1, 5)}}  # fmt: skip
MOST_FEATURES = 50_000

path = Path(sys.argv[1])
order = json.loads(path.read_text(encoding="utf-8"))
train = ["\n".join(map(str, row[:-1])) for row in order["train"]]
asked = ["\n".join(map(str, row)) for row in order["asked"]]
labels = np.array([str(row[-1]) for row in order["train"]])
vectorizers = [TfidfVectorizer(sublinear_tf=True, max_features=MOST_FEATURES, **own) for own in VECTORIZERS.values()]
features = hstack([vectorizer.fit_transform(train) for vectorizer in vectorizers]).tocsr()
model = AutoML()
model.fit(
    features,
    labels,
    task="classification",
    metric="accuracy",
    time_budget=60 * order["minutes"],
    estimator_list=["lgbm", "extra_tree", "lrl1", "lrl2"],
    n_jobs=order["threads"],
    seed=1,
    verbose=1,
)
answers = model.predict(hstack([vectorizer.transform(asked) for vectorizer in vectorizers]).tocsr())
path.with_name(path.name.replace(".order.", ".answers.")).write_text(
    json.dumps([str(answer) for answer in answers], ensure_ascii=False), encoding="utf-8"
)
