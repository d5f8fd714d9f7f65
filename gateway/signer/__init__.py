"""
The helper on a clerk's own machine: a page asks it for a signature, and it asks the person.

It listens on this machine alone and answers pages that it was told of, each paired by a code that only the person
at this machine sees. It signs nothing that is not a signature of a PDF or a package, nothing unseen, and one at a time.
The key and its PIN never leave it. ``gateway signer`` starts it; docs/sign.md tells pages how to ask.
"""
