"""What an owner does with judges before a competition names them: fetch, train, measure, validate.

`agon-validator judge` and the build of a bundle call it; duels never do. A judge that was measured here is
frozen, and its directory's digest goes into the rules.
"""
