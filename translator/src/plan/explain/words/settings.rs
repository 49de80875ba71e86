//! The fact about what annotations of a Service say of its endpoints and of requests for it.

use std::num::NonZeroU32;

use crate::Role;
use crate::model::{Balance, Protocol, Retry, Service, ServiceSettings, time_in_words};
use crate::plan::explain::answer::Fact;

/// What annotations say of the connections and requests that proxies of a role send to the
/// endpoints of a port of this protocol; `None` if nothing.
pub(in crate::plan::explain) fn of_endpoints(
    service: &Service,
    protocol: Protocol,
    role: Role,
) -> Option<Fact> {
    let ServiceSettings {
        balance,
        limits,
        ejection,
        ..
    } = &service.settings;
    let said = [
        match (balance, role) {
            (Balance::RoundRobin, _) => None,
            (Balance::Hash(_), Role::Node) => Some(format!(
                "balance {balance}, so that connections go to random endpoints"
            )),
            (balance, _) => Some(format!("balance {balance}")),
        },
        number("max-connections", limits.connections),
        number("max-pending-requests", limits.pending),
        number("max-requests", limits.requests).filter(|_| role != Role::Node),
        number("outlier-5xx", ejection.errors).filter(|_| role != Role::Node),
        time("ejection-time", ejection.time.map(NonZeroU32::get)),
        number("max-ejected", ejection.most),
    ];
    fact("settings", said).filter(|_| protocol == Protocol::Tcp)
}

/// What annotations say of requests that mesh proxies get for a Service; `None` if nothing.
pub(in crate::plan::explain) fn of_requests(service: &Service) -> Option<Fact> {
    let ServiceSettings {
        timeouts, retry, ..
    } = &service.settings;
    let said = [
        time("timeout", timeouts.request),
        time("try-timeout", timeouts.backend_request),
        retry
            .as_ref()
            .map(|retry| format!("retry {}", words(retry))),
    ];
    fact("settings", said)
}

fn fact<const N: usize>(name: &'static str, said: [Option<String>; N]) -> Option<Fact> {
    let said: Vec<String> = said.into_iter().flatten().collect();
    let text = format!("as annotations say: {}", said.join(", "));
    (!said.is_empty()).then(|| Fact::by(name, "metadata.annotations", text))
}

fn number(name: &str, number: Option<NonZeroU32>) -> Option<String> {
    number.map(|number| format!("{name} {number}"))
}

fn time(name: &str, time: Option<u32>) -> Option<String> {
    time.map(|time| format!("{name} {}", time_in_words(i64::from(time))))
}

fn words(retry: &Retry) -> String {
    let codes: Vec<String> = retry.codes.iter().map(ToString::to_string).collect();
    let (times, codes) = (retry.attempts, codes.join(", "));
    match codes.is_empty() {
        true => format!("{times} times after a broken connection"),
        false => format!("{times} times after a broken connection or {codes}"),
    }
}
