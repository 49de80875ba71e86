//! What is said of a Gateway: of each of its listeners, whether it is served.

use super::Said;
use crate::model::{Gateway, GatewayListener, ListenerProtocol};
use crate::plan::certificates::misfits;
use crate::plan::explain::answer::Fact;
use crate::plan::explain::asker::{Asker, count, listed};
use crate::plan::explain::words::verdict::Verdicts;
use crate::plan::gateway::{ListenerVerdict, verdicts};
use crate::policy::gateway::gateway_refusal;
use crate::{ObjectId, Origin};

/// Explains a Gateway.
pub(super) fn of_gateway(asker: &Asker<'_>, id: &ObjectId, gateway: &Gateway, said: Said<'_>) {
    let (facts, verdicts_of, draft) = said;
    let routing = asker.context.index.routing();
    let class = &gateway.class;
    if !routing.is_gateway_ours(gateway) {
        let text = format!("class {class} is not served here");
        facts.push(Fact::by("class", "spec.gatewayClassName", text));
        verdicts_of.say(false, 1, format!("Nothing of {id} is served here."));
        return;
    }
    facts.push(Fact::by("class", "spec.gatewayClassName", &**class));
    if let Some(fleet) = &gateway.fleet {
        facts.push(Fact::new("fleet", fleet.as_str()));
    }
    if let Some(refusal) = gateway_refusal(gateway) {
        facts.push(Fact::by("refused", refusal.field(), refusal.to_string()));
        verdicts_of.say(false, 1, format!("Nothing of {id} is served: {refusal}."));
        return;
    }
    let key = (gateway.namespace.clone(), gateway.name.clone());
    for verdict in verdicts(&asker.context, id, gateway) {
        let listener = verdict.listener;
        if let Some(table) = &verdict.table {
            let (fleet, port) = (table.fleet.clone(), table.port);
            draft.made_of(Origin::IngressPort(fleet, port));
        }
        let routes = count(routing.attached(&key, &listener.name), "route");
        of_listener(
            (asker, id),
            &verdict,
            &routes,
            (&mut *facts, &mut *verdicts_of),
        );
    }
}

fn of_listener(
    (asker, id): (&Asker<'_>, &ObjectId),
    verdict: &ListenerVerdict<'_>,
    routes: &str,
    (facts, verdicts_of): (&mut Vec<Fact>, &mut Verdicts),
) {
    let listener = verdict.listener;
    let field = format!("spec.listeners[{}]", listener.index);
    let protocol = protocol(listener);
    let (name, port, host) = (&listener.name, listener.port, &listener.hostname);
    let bad = verdict
        .certificates
        .iter()
        .filter_map(|one| one.as_ref().err());
    let bad: Vec<String> = bad.map(ToString::to_string).collect();
    let is_closed = listener.protocol == ListenerProtocol::Https
        && !verdict.certificates.iter().any(Result::is_ok);
    let text = match (&verdict.refused, &verdict.table) {
        (Some((_, why)), _) => Err(why.clone()),
        (None, _) if is_closed => Err(format!("no certificate: {}", listed(&bad, "and", 2))),
        (None, Some(table)) => Ok(format!("served at port {} of the proxies", table.port)),
        (None, None) => Err("not served".to_owned()),
    };
    let what = format!("{name}: {protocol} at port {port} for {host}, {routes}");
    match text {
        Ok(text) => match misfits(&asker.context, id, &verdict.certificates, host) {
            None => {
                facts.push(Fact::by("listener", field, format!("{what}: {text}")));
                verdicts_of.say(true, 1, format!("Listener {name} is served."));
            }
            Some(why) => {
                let why = listed(&why, "and", 2);
                let text = format!("{what}: {text}; {why}");
                facts.push(Fact::by("listener", field, text));
                let sentence = format!(
                    "Listener {name} is served, and clients that check certificates refuse it: \
                     {why}."
                );
                verdicts_of.say(false, 1, sentence);
            }
        },
        Err(why) => {
            facts.push(Fact::by("listener", field, format!("{what}: {why}")));
            verdicts_of.say(false, 1, format!("Listener {name} is not served: {why}."));
        }
    }
}

fn protocol(listener: &GatewayListener) -> &str {
    match &listener.protocol {
        ListenerProtocol::Http => "HTTP",
        ListenerProtocol::Https => "HTTPS",
        ListenerProtocol::Tls => "TLS",
        ListenerProtocol::Tcp => "TCP",
        ListenerProtocol::Udp => "UDP",
        ListenerProtocol::Other(other) => other,
    }
}
