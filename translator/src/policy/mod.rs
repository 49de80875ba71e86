//! Policies: pure functions that decide from one object and the options alone.

pub(crate) mod affinity;
pub(crate) mod binding;
pub(crate) mod capture;
pub(crate) mod claims;
pub(crate) mod client_ip;
pub(crate) mod endpoint_addresses;
pub(crate) mod external_name;
pub(crate) mod frontends;
pub(crate) mod gateway;
pub(crate) mod namespace;
pub(crate) mod node_ports;
pub(crate) mod route_order;
pub(crate) mod source_routing;
pub(crate) mod system_ports;
pub(crate) mod table;
pub(crate) mod udp_idle;
