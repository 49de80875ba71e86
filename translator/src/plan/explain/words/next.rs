//! What to look at next where something is not served, as commands, and objects that look as if
//! they had been meant.

use crate::ObjectId;
use crate::plan::explain::addresses::{Address, Outcome};
use crate::plan::explain::answer::{EndpointRow, Fact, Taken};
use crate::plan::explain::asker::listed;
use crate::plan::explain::draft::Draft;
use crate::plan::explain::endpoints::Asked;

/// Adds the commands that show what keeps a port from being served.
pub(in crate::plan::explain) fn hints(
    asked: &Asked<'_>,
    rows: &[EndpointRow],
    addresses: &[&Address],
    draft: &mut Draft,
) {
    let key = &asked.service.key;
    let (namespace, name) = (&key.namespace, &key.name);
    for address in addresses {
        if let Outcome::Taken(winner) = &address.outcome {
            draft.concerns(ObjectId::of_service(winner));
            draft.next(format!(
                "kubectl -n {} get service {} -o yaml",
                winner.namespace, winner.name
            ));
        }
    }
    if addresses
        .iter()
        .any(|a| matches!(a.outcome, Outcome::Closed(_)))
    {
        draft.next(format!("kubectl -n {namespace} get service {name} -o yaml"));
    }
    let is_taken = |row: &EndpointRow| matches!(row.taken, Taken::Yes | Taken::Local);
    if rows.iter().any(is_taken) {
        return;
    }
    let has_port = rows.iter().any(|row| !row.addresses.is_empty());
    let selector = &*asked.service.selector;
    draft.next(match (rows.is_empty() || has_port, selector) {
        (true, "") => format!(
            "kubectl -n {namespace} get endpointslices -l kubernetes.io/service-name={name}"
        ),
        (true, selector) if asked.local && !rows.is_empty() => {
            format!("kubectl -n {namespace} get pods -o wide -l {selector}")
        }
        (true, selector) => format!("kubectl -n {namespace} get pods -l {selector}"),
        (false, _) => format!(
            "kubectl -n {namespace} get endpointslices -l kubernetes.io/service-name={name} -o yaml"
        ),
    });
}

/// The EndpointSlices that are named like those of the Service and have the label of another one.
pub(in crate::plan::explain) fn strangers(asked: &Asked<'_>, rows: &[EndpointRow]) -> Option<Fact> {
    if !rows.is_empty() {
        return None;
    }
    let key = &asked.service.key;
    let named = asked.asker.context.index.slices_named(key);
    let others = named.filter_map(|slice| {
        let service = slice.service.as_ref().filter(|service| *service != key)?;
        // Those of a Service with a longer name are where they belong.
        let rest = slice.name.strip_prefix(&*service.name);
        let is_its_own = rest.is_some_and(|rest| rest.starts_with('-'));
        (!is_its_own).then(|| format!("{} that of Service {service}", slice.name))
    });
    let others: Vec<String> = others.take(10).collect();
    (!others.is_empty()).then(|| {
        let text = format!(
            "EndpointSlices that are named like those of this Service have labels of others: {}",
            listed(&others, "and", 3)
        );
        Fact::by(
            "slices",
            "metadata.labels[kubernetes.io/service-name]",
            text,
        )
    })
}
