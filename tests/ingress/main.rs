//! Ingresses and HTTPRoutes of Gateway API, served by a real Envoy of role `ingress`: manifests at
//! one end, requests and echoes of backends at the other.
//!
//! Most cases are rows of tables that share a world ([`case::Case`], [`edge::play`]): each has host
//! names of its own, and a row that fails says of which case it is. `tests/README.md` lists them.

mod annotations;
mod attachment;
mod backends;
mod case;
mod certificates;
mod changes;
mod claims;
mod clients;
mod cors;
mod cost;
mod demo;
mod edge;
mod external_names;
mod filters;
mod fleets;
mod hosts;
mod ingresses;
mod invalid;
mod limits;
mod load;
mod logs;
mod misdirected;
mod on_demand;
mod order;
mod overload;
mod reconnect;
mod redirects;
mod retries;
mod rewrites;
mod rotation;
mod shares;
mod timeouts;
mod tls_backends;
