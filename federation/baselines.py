"""What a federated model is measured against: the centralised SVM of scikit-learn."""

import numpy as np

from federation.cohort import Cohort
from strategies.learning.task import Judgement, judge


def centralised_svm(clinics: Cohort, l2: float) -> Judgement:
    """Train LinearSVC to convergence on all records together and judge it on the held-out set.

    scikit-learn's defaults (squared hinge, C = 1) but for the primal solver, which draws no
    random numbers. The constant feature is the bias, as in the federation; more than two classes
    are told apart one versus the rest.

    Parameters
    ----------
    clinics : Cohort
        Whose records are pooled.
    l2 : float
        Weight of the L2 term in the reported loss; training has its own.
    """
    from sklearn.svm import LinearSVC

    features, labels = clinics.records()
    machine = LinearSVC(dual=False, fit_intercept=False).fit(features, labels)
    weights = np.asarray(machine.coef_, dtype=np.float64).reshape(-1)
    return judge(weights, clinics.test_features, clinics.test_labels, l2, clinics.classes)
