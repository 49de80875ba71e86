//! Settings: the fields that differ between two resources of one name, and the clusters and names
//! of a Service that differ by nothing else.

use std::collections::BTreeSet;

use super::effect::Setting;
use super::facts::Facts;

/// A field that resources show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    /// The traffic policy of an address.
    Policy,
    /// `sessionAffinity`.
    Affinity,
    /// Who may connect.
    SourceRanges,
    /// Whether endpoints see the address of the client.
    KeptSource,
    /// How long a silent UDP flow is remembered.
    UdpIdle,
    /// The protocol of HTTP requests.
    AppProtocol,
    /// What connections to endpoints begin with, or are wrapped in.
    TransportSocket,
    /// How long an endpoint may take to accept a connection.
    ConnectTimeout,
    /// After how many failures an endpoint is left out.
    OutlierDetection,
    /// How an endpoint is chosen.
    Balance,
    /// What requests that go to one endpoint have in common.
    HashedBy,
    /// How long a request may take.
    Timeout,
    /// How long one try of it may take.
    TryTimeout,
    /// When it is sent again.
    Retry,
    /// After how many errors an endpoint is left out.
    Errors,
    /// For how long an endpoint is left out.
    EjectionTime,
    /// How many percent of the endpoints may be.
    MaxEjected,
    /// How many connections there may be at a time.
    MaxConnections,
    /// How much may wait for one.
    MaxPending,
    /// How many requests there may be at a time.
    MaxRequests,
    /// How many UDP flows there may be at a time.
    MaxUdpFlows,
    /// The name that an ExternalName stands for.
    ExternalName,
}

impl Field {
    /// The field or annotation that sets it, and what it is without one.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Field::Policy => ("internalTrafficPolicy", "Cluster"),
            Field::Affinity => ("sessionAffinity", "None"),
            Field::SourceRanges => ("source ranges", "any"),
            Field::KeptSource => ("source address of clients", "replaced"),
            Field::UdpIdle => ("seaway.dev/udp-idle-timeout", "none"),
            Field::AppProtocol => ("appProtocol", "HTTP/1.1"),
            Field::TransportSocket => ("connections to endpoints", "plain"),
            Field::ConnectTimeout => ("seaway.dev/connect-timeout", "none"),
            Field::OutlierDetection => ("seaway.dev/outlier-detection", "0"),
            Field::Balance => ("seaway.dev/balance", "round-robin"),
            Field::HashedBy => ("hash of requests", "none"),
            Field::Timeout => ("seaway.dev/timeout", "none"),
            Field::TryTimeout => ("seaway.dev/try-timeout", "none"),
            Field::Retry => ("seaway.dev/retry", "none"),
            Field::Errors => ("seaway.dev/outlier-5xx", "none"),
            Field::EjectionTime => ("seaway.dev/ejection-time", "5s"),
            Field::MaxEjected => ("seaway.dev/max-ejected", "99"),
            Field::MaxConnections => ("seaway.dev/max-connections", "none"),
            Field::MaxPending => ("seaway.dev/max-pending-requests", "none"),
            Field::MaxRequests => ("seaway.dev/max-requests", "none"),
            Field::MaxUdpFlows => ("--max-udp-flows", "none"),
            Field::ExternalName => ("externalName", "none"),
        }
    }
}

/// The settings that differ. `external` says that the policy is that of traffic from outside. One
/// without a name stands for all that is not known; there is always at least one.
pub(super) fn differences(old: &Facts, new: &Facts, external: bool) -> Vec<Setting> {
    let fields: BTreeSet<Field> = old.keys().chain(new.keys()).copied().collect();
    let policy_differs = old.get(&Field::Policy) != new.get(&Field::Policy);
    let mut settings = Vec::new();
    for field in fields {
        // A policy decides by itself who is led where.
        if field == Field::SourceRanges && policy_differs {
            continue;
        }
        let (name, without) = field.words();
        let said = |facts: &Facts| facts.get(&field).map_or(without, |said| said).to_owned();
        let (from, to) = (said(old), said(new));
        if from != to {
            let name = match field == Field::Policy && external {
                true => "externalTrafficPolicy",
                false => name,
            };
            settings.push(Setting {
                field: name.to_owned(),
                from,
                to,
            });
        }
    }
    if settings.is_empty() {
        settings.push(unnamed());
    }
    settings
}

/// The setting without a name: something differs that is not told apart.
pub(super) fn unnamed() -> Setting {
    Setting {
        field: String::new(),
        from: String::new(),
        to: String::new(),
    }
}

/// Whether this is a traffic policy that became Local.
pub(super) fn becomes_local(setting: &Setting) -> bool {
    setting.field.ends_with("TrafficPolicy") && setting.to == "Local"
}
