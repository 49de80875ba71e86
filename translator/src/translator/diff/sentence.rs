//! The words for effects: one sentence each, without the Service or host that it is about.

use std::fmt::{self, Display, Formatter, Write as _};
use std::sync::Arc;

use super::effect::{Effect, EndpointCount, Fate, Harm, Places, Setting, Silence, What};
use super::endpoints::total;

/// How many names a sentence lists.
const LISTED: usize = 4;

impl Effect {
    /// How a line of it begins: `+` new, `-` gone, `~` another one; a space if nothing is sent.
    #[must_use]
    pub fn mark(&self) -> char {
        match (&self.what, self.harm) {
            (What::Gone { .. } | What::Refused { .. }, _) => '-',
            (What::New { .. } | What::Served { .. } | What::Routed { now: true, .. }, _) => '+',
            (_, Harm::Nothing) => ' ',
            _ => '~',
        }
    }
}

/// The sentence, with a `!` before what clients lose.
impl Display for Effect {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let loss = if self.loses { "! " } else { "" };
        let udp = self
            .port
            .as_ref()
            .is_some_and(|port| port.ends_with("/udp"));
        match &self.what {
            // Its nodes are named where the loss is.
            What::Settings {
                settings,
                replaced,
                without_endpoint,
            } => settings_sentence(f, settings, (replaced, udp), without_endpoint),
            What::Endpoints { .. } => {
                write!(f, "{loss}{}", self.places)?;
                endpoints(f, &self.what)
            }
            what => {
                write!(f, "{loss}{}", self.places)?;
                sentence(f, what, udp)
            }
        }
    }
}

/// The proxies that are meant, with what leads on to the sentence; nothing for all of them.
impl Display for Places {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Places::Everywhere => Ok(()),
            Places::Zones(zones) if zones.len() == 1 => write!(f, "zone {}: ", list(zones)),
            Places::Zones(zones) => write!(f, "zones {}: ", list(zones)),
            Places::Nodes(nodes) => write!(f, "on {}: ", nodes_listed(nodes)),
        }
    }
}

fn nodes_listed(nodes: &[Arc<str>]) -> String {
    let named = nodes.iter().map(|node| match node.is_empty() {
        true => "proxies without a node",
        false => node,
    });
    list(&named.collect::<Vec<_>>())
}

/// The first few of a list: `a, b, c and 4 more`.
fn list<T: AsRef<str>>(all: &[T]) -> String {
    let mut text = String::new();
    for (at, one) in all.iter().take(LISTED).enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        text.push_str(comma);
        text.push_str(one.as_ref());
    }
    if all.len() > LISTED {
        // Writing to a text cannot fail.
        let _ = write!(text, " and {} more", all.len() - LISTED);
    }
    text
}

fn sentence(f: &mut Formatter<'_>, what: &What, udp: bool) -> fmt::Result {
    match what {
        What::Gone {
            addresses,
            fate,
            flows,
        } => gone(f, addresses, *fate, *flows),
        What::New {
            addresses,
            endpoints,
        } => {
            f.write_str("new")?;
            if addresses.is_empty() && *endpoints == 0 {
                return f.write_str("; nothing is served there yet");
            }
            served(f, ": ", addresses, *endpoints)
        }
        What::Served {
            addresses,
            endpoints,
        } => {
            f.write_str("served now")?;
            served(f, ": ", addresses, *endpoints)
        }
        What::Refused {
            addresses,
            why,
            fate,
        } => refused(f, addresses, why, *fate, udp),
        What::Routed {
            now: true,
            endpoints,
        } => {
            f.write_str("routed to now")?;
            served(f, "", &[], *endpoints)
        }
        What::Routed { now: false, .. } => {
            f.write_str("nothing is routed to it any more; no connection is cut")
        }
        What::HealthCheck => f.write_str("the health check node port answers otherwise"),
        What::Routes { before, after } => routes(f, before, after),
        What::Certificate { before, after } => f.write_str(match (before, after) {
            (false, _) => "sent now",
            (true, true) => "replaced; open connections stay",
            (true, false) => "no longer sent: nothing is served with it",
        }),
        What::Names { served, closed } => names(f, served, closed),
        What::Other { resources } => write!(f, "other resources: {}", list(resources)),
        What::NothingSent { why } => {
            let why = match why {
                Silence::Labels => "labels only",
                Silence::Annotations => "annotations only",
                Silence::LabelsAndAnnotations => "labels and annotations only",
                Silence::Unused => "what changed means nothing to these proxies",
            };
            write!(f, "{why}: nothing is sent")
        }
        What::Settings { .. } | What::Endpoints { .. } => Ok(()),
    }
}

fn refused(
    f: &mut Formatter<'_>,
    addresses: &[String],
    why: &str,
    fate: Fate,
    udp: bool,
) -> fmt::Result {
    write!(f, "{} will be {fate}", list(addresses))?;
    if !why.is_empty() {
        write!(f, ": {why}")?;
    }
    f.write_str(match (fate, udp) {
        (Fate::NotFound, _) => "",
        (_, true) => "; flows end",
        (_, false) => "; open connections end with the drain time",
    })
}

fn names(f: &mut Formatter<'_>, served: &[String], closed: &[String]) -> fmt::Result {
    if !closed.is_empty() {
        write!(f, "TLS for {} will be closed", list(closed))?;
    }
    if !served.is_empty() {
        let semicolon = if closed.is_empty() { "" } else { "; " };
        write!(f, "{semicolon}TLS for {} is served now", list(served))?;
    }
    f.write_str("; connections for other names stay")
}

impl Display for Fate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fate::Refused => "refused",
            Fate::Closed => "closed",
            Fate::NotFound => "answered with 404",
            Fate::Elsewhere => "led elsewhere",
        })
    }
}

fn gone(f: &mut Formatter<'_>, addresses: &[String], fate: Fate, udp: bool) -> fmt::Result {
    f.write_str("gone")?;
    if addresses.is_empty() {
        return f.write_str("; it had no address here, and nothing is routed to it any more");
    }
    f.write_str(": ")?;
    refused(f, addresses, "", fate, udp)
}

fn served(
    f: &mut Formatter<'_>,
    lead: &str,
    addresses: &[String],
    endpoints: usize,
) -> fmt::Result {
    if !addresses.is_empty() {
        write!(f, "{lead}{}", list(addresses))?;
    }
    match endpoints {
        0 => Ok(()),
        1 => f.write_str(", 1 endpoint"),
        more => write!(f, ", {more} endpoints"),
    }
}

fn routes(f: &mut Formatter<'_>, before: &[String], after: &[String]) -> fmt::Result {
    match (before.is_empty(), after.is_empty()) {
        (true, true) => f.write_str("filters or limits of its routes are others"),
        (true, false) => write!(f, "{}", list(after)),
        (false, true) => write!(f, "no longer {}", list(before)),
        (false, false) => write!(f, "{}; was {}", list(after), list(before)),
    }
}

fn settings_sentence(
    f: &mut Formatter<'_>,
    settings: &[Setting],
    (replaced, udp): (&[String], bool),
    without: &[Arc<str>],
) -> fmt::Result {
    let said = settings
        .iter()
        .map(|setting| match setting.field.is_empty() {
            true => "other settings".to_owned(),
            false => format!("{} {} -> {}", setting.field, setting.from, setting.to),
        });
    f.write_str(&list(&said.collect::<Vec<_>>()))?;
    if !without.is_empty() {
        let nodes = nodes_listed(without);
        let external = settings.iter().all(|s| s.field.starts_with("external"));
        // Without a listener it is mesh proxies that route there.
        let what = match (replaced.is_empty(), external) {
            _ if udp => "datagrams are dropped",
            (true, _) => "requests get 503",
            (false, true) => "new connections from outside are closed",
            (false, false) => "new connections are closed",
        };
        write!(f, ": ! on {nodes} no local endpoint, {what}")?;
    }
    let open = match udp {
        // A UDP proxy forgets the flows of a cluster that is another one, too.
        true => "flows begin anew",
        false => "open connections drain",
    };
    match replaced {
        [] if udp => write!(f, "; {open}"),
        [] => f.write_str("; no connection is cut"),
        [one] => write!(f, "; the listener of {one} is replaced, {open}"),
        more => write!(f, "; {} listeners are replaced, {open}", more.len()),
    }
}

fn endpoints(f: &mut Formatter<'_>, what: &What) -> fmt::Result {
    let What::Endpoints {
        local,
        outside,
        v6,
        flows,
        requests,
        before,
        after,
        joins,
        leaves,
        moves,
    } = what
    else {
        return Ok(());
    };
    counts(f, *before, *after, *local, *v6)?;
    let mut shown: Vec<String> = Vec::new();
    let mut add = |all: &[String], one: &str, many: &str| match all {
        [] => {}
        [only] => shown.push(format!("{only} {one}")),
        all => shown.push(format!("{} {many}", list(all))),
    };
    add(leaves, "leaves", "leave");
    add(joins, "joins", "join");
    let is_less = after.preferred < before.preferred;
    match is_less {
        true => add(moves, "stands by", "stand by"),
        false => add(moves, "changes its rank", "change their rank"),
    }
    if !shown.is_empty() {
        write!(f, " ({})", shown.join("; "))?;
    }
    f.write_str(match (total(*after), *flows, leaves.is_empty()) {
        (0, true, _) => "; datagrams are dropped",
        (0, false, _) if *requests => "; requests get 503",
        (0, false, _) if *outside => "; new connections from outside are closed",
        (0, false, _) => "; new connections are closed",
        (_, true, false) => "; flows there move to another endpoint",
        _ => "; no connection is cut",
    })
}

fn counts(
    f: &mut Formatter<'_>,
    before: EndpointCount,
    after: EndpointCount,
    local: bool,
    v6: bool,
) -> fmt::Result {
    let words = [(local, "local "), (v6, "IPv6 ")];
    let kind: String = words
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, w)| *w)
        .collect();
    if total(after) == 0 {
        return write!(f, "no {kind}endpoint is left");
    }
    let stands_by = before.standby + after.standby > 0;
    let kind = match stands_by {
        true => format!("preferred {kind}"),
        false => kind,
    };
    let (was, is) = (before.preferred, after.preferred);
    let plural = if (was, is) == (1, 1) { "" } else { "s" };
    match was == is {
        true => write!(f, "still {is} {kind}endpoint{plural}"),
        false => write!(f, "{was} -> {is} {kind}endpoint{plural}"),
    }
}
