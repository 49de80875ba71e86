//! Admits proxies: TLS, authentication, the roles an identity may have, and the view of a proxy
//! from what it claims.

pub(crate) mod identity;
pub(crate) mod proxy_admission;
pub(crate) mod tls;
