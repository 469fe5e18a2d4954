"""Explains the words that a report uses, as the documentation's glossary does."""

WORDS = {
    "accuracy": "the share of the test images that the network names rightly",
    "point": "one per cent of the test images: from 86 % to 87 % is a point",
    "range": "where the true value lies with the probability that is told, mostly 95 %",
    "setup": "network, recipe and data: what is held equal while the number of training images varies",
    "test images": "the images that an accuracy is measured on, never trained on; the same ones for all runs of a "
    "study",
    "guessing": "always naming the commonest class of the validation images; what a network must beat",
    "seed": "a number that decides what chance decides: which images are drawn, and how training begins; runs that "
    "differ by it alone show how much is luck",
    "fraction": "the share of the training set that is used, 0 < fraction <= 1",
    "audit": "the search for what makes runs not comparable: other data, code or recipes, subsets that overlap",
    "provisional": "said of a verdict that something weakens, which stands beside it with its remedy",
    "learning curve": "a metric against data volume, across runs",
    "budget epoch": "ceil(images of the full set / global batch) full batches, whatever the fraction; the unit of "
    "training time",
}
