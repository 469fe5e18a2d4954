"""Opens data sets as labelled splits; no image is decoded."""
