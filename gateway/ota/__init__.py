"""Updates: releases that are signed, staged beside the running one, tried, and kept or taken back.

What things are: `release`, `package` (a driver of others), `configs` (a signed configuration), `bundle` (one release in
a file), `request` (what the updater is asked), `places` (where all of it lies).

What a machine does, each a short process of its own: `fetch` (with `fetchconfig`, `sources`, `download`) brings files,
`apply` is the updater and `first` the installer, which make a slot of them (`composing`, `assembling`, `wheels`);
`selftest` runs in the new slot. In between `trust` decides by TUF whether it may be used (`anchors`, `waiver`,
`allowing`), and the gateway by `gates` and `scripts` whether it is kept; `slots` shows what slotctl knows.

Wheels are looked into by `parts`, `members` and `wheelcheck`; `building` makes a release of a folder of them, at a
publisher and at an installer alike. All else of a publisher is in `publisher`, and no machine imports that.

Nothing here is imported by a running gateway unless it is updated.
"""
