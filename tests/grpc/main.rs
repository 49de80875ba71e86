//! Proxyless gRPC clients: real ones of `grpcio`, which find Services by `xds:///NAME`. Everything
//! is on loopback, so no network of its own is needed.
//!
//! Without grpcio (`make grpc-client`, which `make test` runs) the tests say `skipped`.

mod changes;
mod names;
mod routes;
mod scene;
