"""The learner: linear support vector machine, feature maps and diagnostic metrics."""
