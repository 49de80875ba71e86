//! The checks of the objects of Gateway API other than routes.

use super::super::gateway::selector::{is_key, is_value};
use super::super::http::hostname;
use super::super::route::parent::is_kind;
use super::{Check, unique};
use crate::model::{
    AllowedNamespaces, Gateway, GatewayClass, GatewayListener, LabelOperator, LabelRequirement,
    ListenerProtocol, Namespace, ReferenceGrant,
};
use crate::names::{is_label, is_subdomain};

impl Check {
    pub(in super::super) fn gateway_class(&mut self, class: &GatewayClass) {
        self.demand("name", is_subdomain(&class.name));
    }

    pub(in super::super) fn gateway(&mut self, gateway: &Gateway) {
        let named = is_label(&gateway.namespace) && is_subdomain(&gateway.name);
        self.demand("name", named);
        let listeners = &gateway.listeners;
        self.demand(
            "listeners",
            unique(listeners.iter().map(|listener| &listener.name)),
        );
        self.demand(
            "listeners",
            unique(listeners.iter().map(|listener| listener.index)),
        );
        for listener in listeners {
            self.demand("listeners.name", is_subdomain(&listener.name));
            self.demand("listeners.hostname", hostname::is_valid(&listener.hostname));
            self.demand("listeners.kinds", unique(listener.kinds.iter()));
            self.demand("listeners.namespaces", are_namespaces(&listener.namespaces));
            self.demand("listeners.certificates", are_certificates(listener));
        }
    }

    pub(in super::super) fn reference_grant(&mut self, grant: &ReferenceGrant) {
        self.demand(
            "name",
            is_label(&grant.namespace) && is_subdomain(&grant.name),
        );
        let is_group = |group: &str| group.is_empty() || is_subdomain(group);
        self.demand(
            "from",
            grant.from.iter().all(|from| {
                is_group(&from.group) && is_kind(&from.kind) && is_label(&from.namespace)
            }),
        );
        self.demand(
            "to",
            grant.to.iter().all(|to| {
                let name = to.name.as_deref();
                is_group(&to.group) && is_kind(&to.kind) && name.is_none_or(is_subdomain)
            }),
        );
    }

    pub(in super::super) fn namespace(&mut self, namespace: &Namespace) {
        self.demand("name", is_label(&namespace.name));
        let mut labels = namespace.labels.iter();
        self.demand(
            "labels",
            labels.all(|(key, value)| is_key(key) && is_value(value)),
        );
    }
}

fn are_namespaces(namespaces: &AllowedNamespaces) -> bool {
    match namespaces {
        AllowedNamespaces::Same | AllowedNamespaces::All => true,
        AllowedNamespaces::Selector(selector) => selector.requirements.iter().all(is_requirement),
    }
}

fn is_requirement(requirement: &LabelRequirement) -> bool {
    let takes_values = matches!(
        requirement.operator,
        LabelOperator::In | LabelOperator::NotIn
    );
    is_key(&requirement.key)
        && requirement.values.is_empty() != takes_values
        && requirement.values.iter().all(|value| is_value(value))
}

fn are_certificates(listener: &GatewayListener) -> bool {
    let protocol = &listener.protocol;
    let has_tls = matches!(protocol, ListenerProtocol::Https | ListenerProtocol::Tls);
    let mut certificates = listener.certificates.iter();
    (has_tls || listener.certificates.is_empty())
        && certificates.all(|one| {
            let is_named = is_label(&one.namespace) && is_subdomain(&one.name);
            !one.is_secret || is_named
        })
}
