"""XML signatures: policy as data, the one door to a verified document, signing, keys, trust."""
