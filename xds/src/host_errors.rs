//! Error texts of Envoy that blame its own machine for a rejection, not the resource.
//!
//! Another proxy may accept the same content, so such a rejection does not count for the quarantine
//! (`store::quarantine`). And it may pass without any change of the resource, so the content is
//! sent again after a delay (`session::state::rejections`).

/// Parts of such error texts: the address is taken or not there, the port is privileged, an option
/// needs a capability, the network namespace is not there, there are no more files. From
/// `ListenSocketImpl`, `execInNetworkNamespace` and `strerror`; compared without regard to case.
/// Those of one word would be found in names of resources.
const OWN_TROUBLE: [&str; 13] = [
    "cannot bind",
    "cannot listen",
    "failed to bind",
    "failed to listen",
    "failed to create listening socket",
    "socket option",
    "address already in use",
    "cannot assign requested address",
    "permission denied",
    "operation not permitted",
    "too many open files",
    "failed to open netns",
    "failed to set netns",
];

/// Whether an error text of Envoy tells more of its machine than of the resource.
pub(crate) fn of_envoys_machine(error: &str) -> bool {
    let error = error.to_ascii_lowercase();
    OWN_TROUBLE.iter().any(|text| error.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_the_machine_is_told_from_what_is_wrong_with_the_resource() {
        for text in [
            "default/web/80: cannot bind '10.96.0.1:80': Address already in use",
            "Cannot assign requested address",
            "l: cannot set post-bound socket option on socket: 0.0.0.0:53",
            "l: failed to open netns file /run/netns/seaway: No such file or directory",
            "l: failed to set netns to /run/netns/seaway (fd=36): Operation not permitted",
        ] {
            assert!(of_envoys_machine(text), "{text}");
        }
        for text in [
            "unknown field",
            "route: unknown cluster 'binding'",
            "l: address is necessary",
            "default/netns/80: unknown filter",
        ] {
            assert!(!of_envoys_machine(text), "{text}");
        }
    }
}
