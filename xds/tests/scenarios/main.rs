//! Scenarios over real connections, in the four variants of the protocol: state of the world or
//! delta, on an aggregated stream or on the services of single types.
//!
//! `harness` has the 18 scenarios of ii/xds-test-harness under their numbers; `beyond_harness` and
//! `streams` have what that plans or leaves out.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod admit;
mod beyond_harness;
mod client;
mod client_limits;
mod client_status;
mod codec;
mod harness;
mod identity;
mod inspect;
mod load_reports;
mod methods;
mod on_demand;
mod other_calls;
mod overload;
mod overload_end;
mod overload_peers;
mod raw;
mod reports;
mod rollout;
mod side;
mod streams;
mod throttled;
mod tls;
mod world;
