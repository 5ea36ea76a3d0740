"""Readings as events of EdgeX (format v3, as its core-data takes them): pure functions, no I/O, no clock, no store.

What the format asks for is public: the structs of edgexfoundry/go-mod-core-contracts (`dtos/event.go`,
`dtos/reading.go`, `dtos/requests/event.go`, `common/validator.go`) and the envelope of edgexfoundry/go-mod-messaging.
"""
