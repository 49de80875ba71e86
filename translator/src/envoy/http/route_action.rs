//! What becomes of a request, as the action of Envoy's `Route` (Gateway rules 69 to 83).

use std::num::NonZeroU32;

use seaway_proto::envoy::core::RuntimeFractionalPercent;
use seaway_proto::envoy::core::header_value_option::HeaderAppendAction::AppendIfExistsOrAdd;
use seaway_proto::envoy::route::redirect_action::{
    PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier,
};
use seaway_proto::envoy::route::retry_policy::RetryBackOff;
use seaway_proto::envoy::route::route::Action as RouteKind;
use seaway_proto::envoy::route::route_action::{
    ClusterNotFoundResponseCode, ClusterSpecifier, HostRewriteSpecifier, RequestMirrorPolicy,
};
use seaway_proto::envoy::route::weighted_cluster::ClusterWeight;
use seaway_proto::envoy::route::weighted_cluster::cluster_weight::HostRewriteSpecifier as ShareHost;
use seaway_proto::envoy::route::{
    DirectResponseAction, RedirectAction, RetryPolicy, RouteAction, WeightedCluster,
};
use seaway_proto::envoy::types::FractionalPercent;
use seaway_proto::envoy::types::fractional_percent::DenominatorType;
use seaway_proto::google::protobuf::Duration;

use super::header_changes::{added, followed, option, removed};
use super::path_change::{self, Edit};
use super::rate;
use crate::envoy::route::{connect_again, hash_policy};
use crate::envoy::{milliseconds, number, seconds};
use crate::model::{HeaderChanges, Hostname, Redirect, Retry, Rewrite, Timeouts};
use crate::plan::host::{Action, RoutePlan, Share, Table};

/// The cluster of the shares that the proxy answers itself: there is none of this name, and no
/// Service can have it.
const NO_CLUSTER: &str = "seaway:invalid";
/// For so many milliseconds a stream may be silent (`stream_idle_timeout` of the listener).
pub(super) const STREAM_IDLE: u32 = 300_000;

/// So many times the first pause between tries the longest may be.
const LONGER: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// Where a route is, as far as its action depends on that.
#[derive(Clone, Copy, Debug)]
pub(super) enum At<'a> {
    /// Among those of a host, at a port of ingress proxies.
    Host(&'a Table, &'a Hostname),
    /// Among those of a Service port at mesh proxies, by whichever of its names that is asked for.
    Port,
}

impl<'a> At<'a> {
    /// The host names that the route is for.
    pub(super) fn host(self) -> &'a Hostname {
        match self {
            At::Host(_, host) => host,
            At::Port => &Hostname::Any,
        }
    }
}

/// The action of a route.
pub(super) fn action(at: At<'_>, route: &RoutePlan) -> RouteKind {
    match &route.action {
        Action::Answer(status) => answer(*status),
        Action::Redirect(redirect, port) => {
            let mut message = redirection((at, *port), route, redirect);
            if let (None, Hostname::Exact(host)) = (&redirect.hostname, at.host()) {
                // Else Envoy would keep the port that the client has written behind it.
                message.host_redirect = host.to_string();
            }
            RouteKind::Redirect(message)
        }
        // As a method and a body have to be kept, it is neither 301 nor 302.
        Action::ToHttps => RouteKind::Redirect(RedirectAction {
            scheme_rewrite_specifier: Some(SchemeRewriteSpecifier::HttpsRedirect(true)),
            // Else Envoy would keep the port that the client has written behind it.
            host_redirect: match at.host() {
                Hostname::Exact(host) => host.to_string(),
                Hostname::Wildcard(_) | Hostname::Any => String::new(),
            },
            response_code: RedirectResponseCode::PermanentRedirect as i32,
            ..Default::default()
        }),
        Action::Forward(shares) => RouteKind::Route(forward(route, shares)),
    }
}

/// The proxy answers with this status.
pub(super) fn answer(status: u16) -> RouteKind {
    RouteKind::DirectResponse(DirectResponseAction {
        status: status.into(),
        ..Default::default()
    })
}

/// A redirect (Gateway rule 69).
fn redirection(at: (At<'_>, u16), route: &RoutePlan, redirect: &Redirect) -> RedirectAction {
    let change = redirect.path.as_ref();
    let edit = change.and_then(|change| path_change::edit(change, &route.matches.path));
    let scheme = redirect.scheme.as_deref();
    RedirectAction {
        scheme_rewrite_specifier: scheme
            .map(|scheme| SchemeRewriteSpecifier::SchemeRedirect(scheme.to_owned())),
        host_redirect: redirect.hostname.as_deref().unwrap_or_default().to_owned(),
        port_redirect: redirected_port(at, redirect),
        path_rewrite_specifier: edit.map(|edit| match edit {
            Edit::Whole(path) => PathRewriteSpecifier::PathRedirect(path),
            Edit::Prefix(new) => PathRewriteSpecifier::PrefixRewrite(new),
            Edit::Regex(rewrite) => PathRewriteSpecifier::RegexRewrite(rewrite),
        }),
        response_code: status(redirect.status) as i32,
        ..Default::default()
    }
}

/// The port that a redirect names; 0 for none, since Envoy would also print the one that the scheme
/// implies.
fn redirected_port((at, external_port): (At<'_>, u16), redirect: &Redirect) -> u32 {
    let implied = |scheme: &str| if scheme == "https" { 443 } else { 80 };
    let own = match at {
        At::Host(table, _) if table.tls => "https",
        At::Host(..) | At::Port => "http",
    };
    let default = implied(redirect.scheme.as_deref().unwrap_or(own));
    let port = match (redirect.port, &redirect.scheme) {
        (Some(port), _) => port.get(),
        (None, Some(_)) => default,
        (None, None) => external_port,
    };
    // Of a name with any other port Envoy would keep that.
    let keeps = matches!(at, At::Port) && redirect.hostname.is_none() && external_port != 80;
    match port == default && !keeps {
        true => 0,
        false => port.into(),
    }
}

fn status(status: u16) -> RedirectResponseCode {
    match status {
        301 => RedirectResponseCode::MovedPermanently,
        303 => RedirectResponseCode::SeeOther,
        307 => RedirectResponseCode::TemporaryRedirect,
        308 => RedirectResponseCode::PermanentRedirect,
        _ => RedirectResponseCode::Found,
    }
}

/// Requests go to the clusters of these shares.
fn forward(route: &RoutePlan, shares: &[Share]) -> RouteAction {
    let filters = &route.rule.filters;
    let rewrite = filters.rewrite.as_ref();
    let hosts: Vec<Option<&str>> = shares.iter().map(|share| host(share, rewrite)).collect();
    let same = hosts.windows(2).all(|pair| pair[0] == pair[1]);
    let common = hosts.first().copied().flatten().filter(|_| same);
    let hashes = shares
        .iter()
        .filter_map(|share| share.to.as_ref().ok()?.hash.as_ref());
    let invalid = shares.iter().find_map(|share| share.to.as_ref().err());
    let shared = route.asked.rate.as_ref();
    let mut action = RouteAction {
        cluster_not_found_response_code: invalid.map_or(0, |status| not_found(*status) as i32),
        cluster_specifier: Some(clusters(route, shares, common.is_none())),
        host_rewrite_specifier: common
            .map(|host| HostRewriteSpecifier::HostRewriteLiteral(host.to_owned())),
        // Backends that need the name asked for find it there.
        append_x_forwarded_host: common.is_some(),
        request_mirror_policies: route.mirrors.iter().map(mirror).collect(),
        // A route has one hash for all of its clusters: that of the first one that wants any.
        hash_policy: hashes.take(1).map(hash_policy).collect(),
        rate_limits: shared
            .map(|(name, _)| rate::of_route(name))
            .into_iter()
            .collect(),
        ..Default::default()
    };
    limit(&mut action, route.rule.timeouts, route.rule.retry.as_ref());
    let change = rewrite.and_then(|rewrite| rewrite.path.as_ref());
    match change.and_then(|change| path_change::edit(change, &route.matches.path)) {
        Some(Edit::Whole(path)) => action.regex_rewrite = Some(path_change::whole(&path)),
        Some(Edit::Regex(rewrite)) => action.regex_rewrite = Some(rewrite),
        Some(Edit::Prefix(new)) => action.prefix_rewrite = new,
        None => {}
    }
    action
}

/// The changes of headers that hold for all requests of a route. Those of a single backend are
/// among them. Where one of several backends has its own, there are none: Envoy makes a route's
/// changes after those of a share, so each share then has them all.
pub(super) fn common_changes(route: &RoutePlan) -> (HeaderChanges, HeaderChanges) {
    let filters = &route.rule.filters;
    match &route.action {
        Action::Forward(shares) if shares.iter().any(has_changes) => match shares.as_slice() {
            [share] => share_changes(route, share),
            _ => Default::default(),
        },
        _ => (
            filters.request_headers.clone(),
            filters.response_headers.clone(),
        ),
    }
}

fn has_changes(share: &Share) -> bool {
    let none = HeaderChanges::default();
    share.backend.request_headers != none || share.backend.response_headers != none
}

/// All changes of headers of a share: the rule's and then its own.
fn share_changes(route: &RoutePlan, share: &Share) -> (HeaderChanges, HeaderChanges) {
    let (filters, backend) = (&route.rule.filters, share.backend);
    (
        followed(&filters.request_headers, &backend.request_headers),
        followed(&filters.response_headers, &backend.response_headers),
    )
}

/// The clusters of a route (Gateway rule 82); `hosts`: each with the host name that its requests
/// ask for.
fn clusters(route: &RoutePlan, shares: &[Share], hosts: bool) -> ClusterSpecifier {
    if let [share] = shares
        && let Ok(upstream) = &share.to
    {
        return ClusterSpecifier::Cluster(upstream.cluster.to_string());
    }
    let own = shares.iter().any(has_changes);
    let weighted = shares.iter().map(|share| {
        let mut weight = ClusterWeight {
            name: match &share.to {
                Ok(upstream) => upstream.cluster.to_string(),
                Err(_) => NO_CLUSTER.to_owned(),
            },
            weight: Some(number(share.weight)),
            ..Default::default()
        };
        if own {
            let (request, response) = share_changes(route, share);
            weight.request_headers_to_add = added(&request);
            weight.request_headers_to_remove = removed(&request);
            weight.response_headers_to_add = added(&response);
            weight.response_headers_to_remove = removed(&response);
        }
        let host = host(share, route.rule.filters.rewrite.as_ref());
        if let Some(host) = host.filter(|_| hosts && share.to.is_ok()) {
            let literal = ShareHost::HostRewriteLiteral(host.to_owned());
            weight.host_rewrite_specifier = Some(literal);
            // Envoy itself notes the name asked for only where a route replaces it.
            let asked = "%REQ(:authority)%".to_owned();
            let note = option("x-forwarded-host", asked, AppendIfExistsOrAdd);
            weight.request_headers_to_add.push(note);
        }
        weight
    });
    ClusterSpecifier::WeightedClusters(WeightedCluster {
        clusters: weighted.collect(),
        ..Default::default()
    })
}

/// The host name that a share puts in place of the one asked for: what its backend says, else what
/// the rule says, else that of an ExternalName.
fn host<'a>(share: &'a Share, rewrite: Option<&'a Rewrite>) -> Option<&'a str> {
    let own = share.backend.hostname.as_deref();
    let rule = rewrite.and_then(|rewrite| rewrite.hostname.as_deref());
    let external = share.to.as_ref().ok();
    let external = external.and_then(|upstream| upstream.hostname.as_deref());
    own.or(rule).or(external)
}

/// What Envoy answers for a cluster that there is not. A route has one such status.
fn not_found(status: u16) -> ClusterNotFoundResponseCode {
    match status {
        503 => ClusterNotFoundResponseCode::ServiceUnavailable,
        404 => ClusterNotFoundResponseCode::NotFound,
        _ => ClusterNotFoundResponseCode::InternalServerError,
    }
}

/// Puts the limits of time on a route, and says when a request is sent again (Gateway rules 76 and
/// 77). What is not limited may take as long as it likes, where Envoy's own default is 15 s.
pub(in crate::envoy) fn limit(action: &mut RouteAction, timeouts: Timeouts, retry: Option<&Retry>) {
    action.timeout = Some(duration(timeouts.request.unwrap_or(0)));
    // A request that may take long may be silent for as long.
    action.idle_timeout = match timeouts.request {
        Some(time) if time == 0 || time > STREAM_IDLE => Some(duration(time)),
        _ => None,
    };
    let mut retries = retry.map_or_else(connect_again, again);
    let single = timeouts.backend_request.and_then(NonZeroU32::new);
    retries.per_try_timeout = single.map(milliseconds);
    action.retry_policy = Some(retries);
}

/// The retries that a rule asks for. No reason of Envoy's own stands for codes here: `5xx` and its
/// like would repeat others than those that are named.
fn again(retry: &Retry) -> RetryPolicy {
    let reasons = ["connect-failure", "refused-stream", "reset"];
    let codes = (!retry.codes.is_empty()).then_some("retriable-status-codes");
    let reasons: Vec<&str> = reasons.into_iter().chain(codes).collect();
    let pause = |pause: NonZeroU32| RetryBackOff {
        base_interval: Some(milliseconds(pause)),
        max_interval: Some(milliseconds(pause.saturating_mul(LONGER))),
    };
    RetryPolicy {
        retry_on: reasons.join(","),
        num_retries: Some(number(retry.attempts)),
        retriable_status_codes: retry.codes.iter().map(|code| (*code).into()).collect(),
        retry_back_off: retry.pause.map(pause),
        ..Default::default()
    }
}

fn duration(time: u32) -> Duration {
    NonZeroU32::new(time).map_or(seconds(0), milliseconds)
}

/// A cluster that gets copies of requests (Gateway rule 73).
fn mirror((cluster, per_million): &(std::sync::Arc<str>, u32)) -> RequestMirrorPolicy {
    let share = FractionalPercent {
        numerator: *per_million,
        denominator: DenominatorType::Million as i32,
    };
    RequestMirrorPolicy {
        cluster: cluster.to_string(),
        runtime_fraction: (*per_million < 1_000_000).then(|| RuntimeFractionalPercent {
            default_value: Some(share),
            ..Default::default()
        }),
        // A copy asks for the same host.
        disable_shadow_host_suffix_append: true,
        ..Default::default()
    }
}
