//! What Ingresses and routes of Gateway API have in common: host names ([`hostname`]), paths
//! ([`path`]), regular expressions ([`regex`]) and headers ([`header`]). Nothing gets past these
//! checks that Envoy would refuse: it refuses a whole route table for one value (Gateway rule 96).

pub(super) mod header;
pub(super) mod hostname;
pub(super) mod path;
pub(super) mod regex;
