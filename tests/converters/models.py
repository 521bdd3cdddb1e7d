"""Fitted models as people have them, small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import pandas
import xgboost
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC

RANDOM = np.random.default_rng(7)
ROWS = 300
CUSTOMERS = pandas.DataFrame(
    {
        "age": np.round(RANDOM.normal(40, 12, ROWS)),
        "plan": RANDOM.choice(["free", "paid", "trial"], ROWS),
        "zone": RANDOM.choice([10, 20, 30], ROWS),
        "income": np.round(RANDOM.lognormal(8, 1, ROWS)),
        "note": RANDOM.choice(["was good", "was bad", "never came"], ROWS),
        "unused": 1.0,
    }
)
STAYS = np.where((CUSTOMERS.age > 40) ^ (CUSTOMERS.plan == "paid"), "stays", "leaves")
VALUE = CUSTOMERS.age * 2 + CUSTOMERS.zone
NUMBERS = CUSTOMERS[["age", "income"]]
GAPS = CUSTOMERS.assign(age=CUSTOMERS.age.where(CUSTOMERS.index % 7 > 0))
TEXTS = ["The match ended 2:1", "a goal in the last minute", "the minister said taxes", "Parliament votes"] * 5
TOPICS = ["sports", "sports", "politics", "politics"] * 5
PLANS = CUSTOMERS[["age", "plan"]].astype({"plan": "category"})


def columns(unknown: str = "error") -> ColumnTransformer:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    encoder = OneHotEncoder(handle_unknown=unknown)
    return ColumnTransformer([("numbers", numbers, ["age", "income"]), ("categories", encoder, ["plan", "zone"])])


def filled() -> Pipeline:
    """Gaps of texts are filled in, too."""
    texts = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    return make_pipeline(
        ColumnTransformer([("t", texts, ["plan"]), ("n", numbers, ["age"])]), RandomForestClassifier(10)
    )


def ordinal() -> Pipeline:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    first = ColumnTransformer([("plan", encoder, ["plan"])], remainder="passthrough")
    return make_pipeline(first, GradientBoostingRegressor(n_estimators=20))


def with_texts() -> Pipeline:
    first = ColumnTransformer([("note", TfidfVectorizer(), "note"), ("age", StandardScaler(), ["age"])])
    return make_pipeline(first, LogisticRegression())


def votes() -> VotingClassifier:
    return VotingClassifier([("a", LogisticRegression()), ("b", RandomForestClassifier(5))], voting="soft")


def search() -> GridSearchCV:
    model = make_pipeline(StandardScaler(), LogisticRegression())
    return GridSearchCV(model, {"logisticregression__C": [1.0, 2.0]}, cv=2)


# each: makes a fitted model
SKLEARN: dict[str, Callable[[], Any]] = {
    "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression()).fit(NUMBERS, STAYS),
    "forest": lambda: RandomForestClassifier(20).fit(NUMBERS.values, CUSTOMERS.zone),
    "histogram": lambda: HistGradientBoostingClassifier(max_iter=10).fit(NUMBERS, STAYS),
    "neighbors": lambda: make_pipeline(StandardScaler(), KNeighborsClassifier()).fit(NUMBERS, STAYS),
    "svc": lambda: make_pipeline(StandardScaler(), SVC()).fit(NUMBERS, CUSTOMERS.zone),
    "linear svc": lambda: make_pipeline(StandardScaler(), LinearSVC()).fit(NUMBERS, CUSTOMERS.age > 40),
    "calibrated": lambda: CalibratedClassifierCV(LinearSVC(), cv=2).fit(NUMBERS / 100, STAYS),
    "votes": lambda: votes().fit(NUMBERS / 100, STAYS),
    "search": lambda: search().fit(NUMBERS, STAYS),
    "ridge": lambda: Ridge().fit(NUMBERS, VALUE),
    "ridge of two": lambda: Ridge().fit(NUMBERS.values, np.stack([VALUE, VALUE / 2], axis=1)),
    "svr": lambda: make_pipeline(StandardScaler(), SVR()).fit(NUMBERS, VALUE),
    "strict": lambda: make_pipeline(columns(), LogisticRegression()).fit(GAPS, STAYS),
    "filled": lambda: filled().fit(GAPS, STAYS),
    "lenient": lambda: make_pipeline(columns("ignore"), RandomForestClassifier(10)).fit(CUSTOMERS, STAYS),
    "ordinal": lambda: ordinal().fit(CUSTOMERS[["age", "plan", "income"]], VALUE),
    "with texts": lambda: with_texts().fit(CUSTOMERS, STAYS),
    "texts": lambda: make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, TOPICS),
}
BOOST: dict[str, Callable[[], Any]] = {
    "lightgbm": lambda: lightgbm.LGBMClassifier(n_estimators=10, verbose=-1).fit(NUMBERS, STAYS),
    "lightgbm truths": lambda: lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(NUMBERS, CUSTOMERS.age > 40),
    "lightgbm categories": lambda: lightgbm.LGBMClassifier(n_estimators=10, min_data_per_group=5, verbose=-1).fit(
        PLANS, STAYS
    ),
    "lightgbm poisson": lambda: lightgbm.LGBMRegressor(n_estimators=10, objective="poisson", verbose=-1).fit(
        NUMBERS, VALUE
    ),
    "xgboost": lambda: xgboost.XGBClassifier(n_estimators=10).fit(NUMBERS, CUSTOMERS.zone // 10 - 1),
    "xgboost of two": lambda: xgboost.XGBClassifier(n_estimators=10).fit(NUMBERS, STAYS == "stays"),
    "xgboost values": lambda: xgboost.XGBRegressor(n_estimators=50).fit(NUMBERS, VALUE),
    "xgboost counts": lambda: xgboost.XGBRegressor(n_estimators=10, objective="count:poisson").fit(NUMBERS, VALUE),
    "lightgbm in a pipeline": lambda: make_pipeline(
        StandardScaler(), lightgbm.LGBMClassifier(n_estimators=5, verbose=-1)
    ).fit(NUMBERS, STAYS),
    "xgboost in a pipeline": lambda: make_pipeline(columns("ignore"), xgboost.XGBRegressor(n_estimators=10)).fit(
        CUSTOMERS, VALUE
    ),
}
MODELS = SKLEARN | BOOST
